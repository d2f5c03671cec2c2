"""Deliberate bugs: what simulator and scenarios must find, or they prove nothing.

A mutant replaces one piece of text in one function for as long as a `with` lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from mutation import replaced

from quorate.raft import commitment, election, membership, reads, receiver
from quorate.raft.leader import Leader
from quorate.raft.log import RaftLog
from quorate.raft.node import Node
from quorate.raft.progress import Progress
from quorate.raft.state import NodeState
from quorate.runtime.raft import RaftDriver
from quorate.state import table
from quorate.storage import sealed
from quorate.storage.log import frames as log_frames
from quorate.storage.log.files import LogFiles
from quorate.storage.log.replay import LogReplay
from quorate.storage.log.segment import Segment
from quorate.storage.log.store import LogStore


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; `new` stands in its place.

    `seeds` is the number of seeds, from 0 on, within which the simulator finds it; 0 if only a
    scenario does, because nothing is wrong that the simulator could see, only slow or wasteful.
    `scenario` shows it in the small.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: int
    scenario: str = ""


MUTANTS = [
    Mutant(
        "answers before the disk",
        NodeState.reply,
        "self.when_durable(effect, of_term=of_term)",
        "self.emit(effect)",
        10,
    ),
    Mutant(
        "acknowledges entries that wait for room",
        receiver._answer,
        "of_term=of_term or not success",
        "of_term=True",
        100,
    ),
    Mutant(
        "keeps a vote behind entries that wait for room",
        election.on_request_vote,
        "of_term=True",
        "of_term=False",
        0,
        "full_follower_votes",
    ),
    Mutant(
        "votes twice in a term", election._vote, "return state.voted_for == identity", "pass", 40
    ),
    Mutant(
        "votes for a log behind",
        RaftLog.up_to_date,
        "(last_term, last_index) >= (self.last_term, self.last_index)",
        "True",
        40,
    ),
    Mutant(
        "counts its own unsynced entries",
        Leader.advance_commit,
        "node.log.stable_index",
        "node.log.last_index",
        10,
    ),
    Mutant(
        "commits entries of older terms",
        Leader.advance_commit,
        "or node.log.term(index) != node.term",
        "",
        10,
    ),
    Mutant(
        "takes half for a majority",
        commitment.majority_value,
        "len(ordered) // 2",
        "(len(ordered) - 1) // 2",
        10,
    ),
    Mutant(
        "commits what the leader has not compared",
        receiver.on_append_entries,
        "_end_of(request))",
        "node.log.last_index)",
        260,
    ),
    Mutant(
        "keeps conflicting entries",
        receiver._fresh,
        "or node.log.term(entry.index) != entry.term",
        "",
        20,
    ),
    Mutant(
        "accepts without comparing",
        receiver._conflict,
        "if term == request.prev_log_term:",
        "if term is not None:",
        100,
    ),
    Mutant(
        "reads before it has applied an own entry", Leader.lease_valid, "self.ready() and ", "", 80
    ),
    Mutant("reads without a round", reads.request, "node.last_rpc_id + 1", "0", 40),
    Mutant(
        "changes two things at once",
        membership.refusal,
        "node.configuration_index > node.commit_index",
        "False",
        30,
    ),
    Mutant(
        "changes before its first commit",
        membership.refusal,
        "node.commit_index < leader.first_own_index",
        "False",
        40,
    ),
    Mutant(
        "removes a voter without proof of a quorum",
        membership.settle,
        "live >= weighed.configuration.quorum()",
        "True",
        20,
        "removals_leave_a_quorum",
    ),
    Mutant(
        "counts answers to what was asked before",
        membership._live,
        "peer.acknowledged_rpc >= weighed.proof",
        "peer.acknowledged_rpc > 0",
        40,
        "removals_leave_a_quorum",
    ),
    Mutant(
        "makes a change by a stale configuration",
        membership.settle,
        "weighed.decided_by != node.configuration_index",
        "False",
        0,
        "removal_by_a_stale_configuration",
    ),
    Mutant(
        "keeps a truncated configuration",
        NodeState.truncate_from,
        "self.configuration_index >= index",
        "False",
        20,
    ),
    Mutant(
        "keeps a log that a snapshot has replaced",
        RaftLog.__init__,
        "stored < snapshot_index or",
        "False or",
        0,
        "crash_between_snapshot_and_log",
    ),
    Mutant("forgets an append that failed", Leader.on_failure, "peer.restart_probe()", "pass", 10),
    Mutant(
        "asks for votes before its own is durable",
        NodeState.emit_in_term,
        "self.outbox.hard_state_pending()",
        "False",
        20,
    ),
    Mutant(
        "counts its own vote before it is durable",
        election._begin,
        "if pre:",
        "if _grant(node, node.server_id) or pre:",
        10,
    ),
    Mutant(
        "trusts the lease too long",
        Leader._acknowledged,
        "sent_at + share",
        "sent_at + 2 * share",
        40,
        "lease_counts_from_sending",
    ),
    Mutant(
        "counts the lease from the answer",
        Leader._acknowledged,
        "sent_at + share",
        "self.node.now + share",
        150,
        "lease_counts_from_sending",
    ),
    Mutant(
        "takes its own timeout for the promise of others",
        Leader._acknowledged,
        "response.promise_ms / 1000",
        "self.node.settings.election_timeout_s",
        150,
        "lease_by_the_voters_promises",
    ),
    Mutant(
        "shortens a promise with its settings",
        NodeState.hear_leader,
        "max(self.promised_until, until)",
        "until",
        0,
        "promise_survives_shorter_settings",
    ),
    Mutant(
        "trusts the lease after handing over",
        Leader.lease_until,
        "self.handed_over or ",
        "",
        40,
        "no_lease_after_timeout_now",
    ),
    Mutant(
        "votes although it heard a leader",
        election._follows_another,
        "if not node.heard_recently():",
        "if True:",
        60,
        "no_vote_while_a_leader_is_heard",
    ),
    Mutant(
        "forgets at start whom it may have heard",
        NodeState.__init__,
        "self.promised_until = now + max(settings.election_timeout_s, promise_s)",
        "self.promised_until = now",
        0,
        "vote_survives_a_crash",
    ),
    Mutant(
        "obeys a late TimeoutNow",
        election.on_timeout_now,
        "request.term in {0, node.term}",
        "True",
        0,
        "late_timeout_now_is_ignored",
    ),
    Mutant(
        "refuses a voter that it does not know yet",
        election._out_of_place,
        "(request.last_log_term, request.last_log_index)",
        "(0, 0)",
        0,
        "voter_not_yet_known",
    ),
    Mutant(
        "stays silent as the only one fit to lead",
        NodeState.may_campaign,
        "self.configuration_index > self.commit_index",
        "False",
        0,
        "demoted_by_a_lost_leader",
    ),
    Mutant(
        "campaigns with a damaged state",
        election.timed_out,
        "if node.machine_trouble is not None:",
        "if False:",
        0,
        "damaged_state_does_not_lead",
    ),
    Mutant(
        "takes over with a damaged state",
        election.on_timeout_now,
        "node.storage_full or node.machine_trouble",
        "node.storage_full",
        0,
        "damaged_state_does_not_lead",
    ),
    Mutant(
        "goes on campaigning when its state is found damaged",
        Node._serve_nobody,
        "self.campaign is not None",
        "False",
        0,
        "damage_ends_a_campaign",
    ),
    Mutant(
        "keeps a transfer of an older term",
        NodeState.become_leader,
        "handover.settle(self, self.server_id)",
        "pass",
        0,
        "transfer_ends_with_the_leadership",
    ),
    Mutant(
        "compacts what an install needs",
        Node._on_snapshot_stored,
        "self.leader.lowest_install() if self.leader else event.index",
        "event.index",
        0,
        "snapshot_is_installed",
    ),
    Mutant(
        "sends the whole log after a pause",
        Progress.restart_probe,
        "max(self.next_index, self.match_index + 1)",
        "self.match_index + 1",
        0,
        "peer_back_from_a_pause",
    ),
    Mutant(
        "never looks in on a quiet peer",
        Leader._look_in,
        "peer.append_at <= quiet_since",
        "False",
        0,
        "restarted_follower_learns_what_is_committed",
    ),
    Mutant(
        "never finds out that a disk was wiped",
        Progress.back_off,
        "if flight.known:",
        "if False:",
        0,
        "wiped_follower_catches_up",
    ),
    Mutant(
        "campaigns without a pre-vote",
        election.timed_out,
        "pre=True",
        "pre=False",
        20,
        "returning_server_does_not_unseat",
    ),
    Mutant(
        "leads on without a quorum",
        Leader._has_quorum_contact,
        "not heard or",
        "True or",
        20,
        "leader_without_quorum_steps_down",
    ),
    Mutant(
        "leads on without a disk",
        NodeState.disk_stalled,
        "self.now - since > self.settings.disk_stall_s",
        "False",
        40,
        "stalled_disk_unseats_the_leader",
    ),
    Mutant(
        "leads on after its removal",
        Leader.advance_commit,
        "not node.is_voter()",
        "False",
        20,
        "leader_removes_itself",
    ),
    Mutant(
        "refuses writes for ever after much work",
        Leader.advance_commit,
        "self.uncommitted_bytes -= self._batches.popleft()[1]",
        "self._batches.popleft()",
        0,
        "many_writes_leave_no_debt",
    ),
    Mutant(
        "counts waiting for room as a stall",
        Node._on_storage,
        "self.outbox.restart_clocks(self.now)",
        "pass",
        0,
        "full_disk_keeps_its_leader",
    ),
    Mutant(
        "never writes its term and vote",
        NodeState.set_hard_state,
        "self.hard_state = self.outbox.hard_state = state",
        "self.hard_state = state",
        10,
    ),
    Mutant(
        "commits by the configuration before",
        Leader.voter_values,
        "self.node.configuration.voters()",
        "self.node.committed_configuration.voters()",
        10,
    ),
    Mutant(
        "reads after its lease has run out",
        Leader.lease_valid,
        "self.lease_until() > max(now, self.node.now)",
        "self.node.settings.lease_reads",
        40,
    ),
    Mutant(
        "forgets the configuration of a snapshot",
        receiver.on_snapshot_received,
        "node.adopt_configuration(_configuration_of(node, request), request.configuration_index)",
        "pass",
        60,
    ),
    Mutant(
        "follows a leader of an older term",
        receiver.on_append_entries,
        "request.term < node.term or (",
        "(",
        200,
    ),
    Mutant(
        "compacts above its snapshot",
        Node._on_snapshot_stored,
        "min(event.index, trailing, needed)",
        "min(log.last_index, needed)",
        20,
    ),
    Mutant(
        "puts an uncommitted configuration into snapshots",
        NodeState.snapshot_point,
        "self.committed_configuration, self.committed_configuration_index)",
        "self.configuration, self.configuration_index)",
        60,
    ),
    Mutant(
        "takes a snapshot of a state that is on its way",
        NodeState.snapshot_point,
        "self.applying_index != self.applied_index",
        "False",
        10,
    ),
    Mutant(
        "lets answers leave with the first write",
        RaftDriver.durable,
        "if number <= sequence",
        "if True",
        10,
    ),
    Mutant(
        "says that more is applied than is",
        RaftDriver._apply,
        "events.Applied(done, ready)",
        "events.Applied(self.node.commit_index, ready)",
        20,
    ),
    Mutant(
        "leaves the rest of a backlog",
        RaftDriver._apply,
        "if not ready:",
        "if False:",
        20,
    ),
    Mutant(
        "answers reads before they are applied",
        reads.release,
        "read.index <= node.applied_index",
        "True",
        10,
    ),
    Mutant(
        "lets two campaign together",
        election._comes_first,
        "theirs > ours or",
        "False and",
        0,
        "two_servers",
    ),
    Mutant("swaps without comparing", table.cas_holds, "cas is None or", "True or", 10),
    Mutant(
        "believes a damaged frame",
        log_frames.read_frame,
        "!= crc32(rest)",
        "== -1",
        40,
    ),
    Mutant(
        "takes damage for the end of the log",
        log_frames.is_unwritten,
        "or not data",
        "or not data or read_frame(data) is None",
        150,
    ),
    Mutant(
        "takes a torn write for whole",
        LogReplay._record_at,
        "if frame is None:",
        "if frame is None:\n            break\n        if False:",
        40,
    ),
    Mutant(
        "overlooks damage behind the log",
        LogReplay.take,
        "self._check_behind(content, at, path)",
        "pass",
        150,
    ),
    Mutant(
        "does not flush a write",
        Segment.append,
        "self._system.fdatasync(self._descriptor)",
        "pass",
        10,
    ),
    Mutant(
        "does not clear what a torn write has left",
        Segment.settle,
        "bytes(self._room - self.size)",
        "b''",
        100,
    ),
    Mutant(
        "does not flush what it finds at a start",
        Segment.settle,
        "self._system.fdatasync(self._descriptor)",
        "pass",
        150,
    ),
    Mutant(
        "does not write again what it finds at a start",
        Segment.settle,
        "self._write(tail + behind, self.size - len(tail))",
        "self._write(behind, self.size)",
        100,
    ),
    Mutant(
        "does not make the name of a new file durable",
        LogFiles.create,
        "fsync_dir(self.folder, self.system)",
        "pass",
        10,
    ),
    Mutant(
        "removes a file whose entries are needed",
        LogStore._remove_compacted,
        "segments[0].last_index <= base",
        "segments[0].last_index <= base + 1",
        100,
    ),
    Mutant(
        "begins a file without term and vote",
        LogStore._heading,
        "head_item(head), state,",
        "head_item(head),",
        40,
    ),
    Mutant(
        "believes a damaged snapshot's meta",
        sealed.unseal,
        "if line != body + _ending(body):",
        "if False:",
        150,
    ),
    Mutant(
        "gives notice to a peer that does not answer",
        Leader.give_notice,
        "peer.mode is Mode.PIPELINE and ",
        "",
        0,
        "no_notice_during_back_off",
    ),
]


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
