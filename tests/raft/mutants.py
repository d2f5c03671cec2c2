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


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; `new` stands in its place.

    `found_by` is the number of seeds that are enough for the simulator, or a scenario.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    found_by: int | str


MUTANTS = [
    Mutant(
        "answers before the disk",
        NodeState.reply,
        "self.when_durable(effect)",
        "self.emit(effect)",
        3,
    ),
    Mutant(
        "votes twice in a term", election._vote, "return state.voted_for == identity", "pass", 20
    ),
    Mutant(
        "votes for a log behind",
        RaftLog.up_to_date,
        "(last_term, last_index) >= (self.last_term, self.last_index)",
        "True",
        30,
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
        20,
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
        40,
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
        30,
    ),
    Mutant(
        "reads before it has applied an own entry", reads.request, "leader.ready() and ", "", 20
    ),
    Mutant("reads without a round", reads.request, "node.last_rpc_id + 1", "0", 40),
    Mutant(
        "changes two things at once",
        membership.refusal,
        "node.configuration_index > node.commit_index",
        "False",
        10,
    ),
    Mutant(
        "changes before its first commit",
        membership.refusal,
        "node.commit_index < leader.first_own_index",
        "False",
        40,
    ),
    Mutant(
        "keeps a truncated configuration",
        NodeState.truncate_from,
        "self.configuration_index >= index",
        "False",
        40,
    ),
    Mutant(
        "keeps a log that a snapshot has replaced",
        RaftLog.__init__,
        "stored < snapshot_index or",
        "False or",
        40,
    ),
    Mutant("forgets an append that failed", Leader.on_failure, "peer.restart_probe()", "pass", 10),
    Mutant(
        "asks for votes before its own is durable",
        NodeState.emit_in_term,
        "self.outbox.hard_state_pending()",
        "False",
        3,
    ),
    Mutant(
        "counts its own vote before it is durable",
        election._begin,
        "if pre:",
        "if _grant(node, node.server_id) or pre:",
        40,
    ),
    Mutant(
        "trusts the lease too long",
        Leader.lease_until,
        "+ node.settings.lease_s",
        "+ 2 * node.settings.lease_s",
        "lease_counts_from_sending",
    ),
    Mutant(
        "counts the lease from the answer",
        Leader._promised,
        "max(peer.promised_at, sent_at)",
        "self.node.now",
        "lease_counts_from_sending",
    ),
    Mutant(
        "trusts the lease after handing over",
        Leader.lease_until,
        "self.handed_over or ",
        "",
        "no_lease_after_timeout_now",
    ),
    Mutant(
        "votes although it heard a leader",
        election._follows_another,
        "if not node.heard_recently():",
        "if True:",
        "no_vote_while_a_leader_is_heard",
    ),
    Mutant(
        "forgets at start whom it may have heard",
        NodeState.__init__,
        "self.contact_at = now",
        "self.contact_at = now - 9",
        "vote_survives_a_crash",
    ),
    Mutant(
        "obeys a late TimeoutNow",
        election.on_timeout_now,
        "request.term in {0, node.term}",
        "True",
        "late_timeout_now_is_ignored",
    ),
    Mutant(
        "refuses a voter that it does not know yet",
        election._out_of_place,
        "(request.last_log_term, request.last_log_index)",
        "(0, 0)",
        "voter_not_yet_known",
    ),
    Mutant(
        "stays silent as the only one fit to lead",
        NodeState.may_campaign,
        "self.configuration_index > self.commit_index",
        "False",
        "demoted_by_a_lost_leader",
    ),
    Mutant(
        "keeps a transfer of an older term",
        NodeState.become_leader,
        "handover.settle(self, self.server_id)",
        "pass",
        "transfer_ends_with_the_leadership",
    ),
    Mutant(
        "compacts what an install needs",
        Node._on_snapshot_stored,
        "self.leader.lowest_install() if self.leader else event.index",
        "event.index",
        "snapshot_is_installed",
    ),
    Mutant(
        "sends the whole log after a pause",
        Progress.restart_probe,
        "max(self.next_index, self.match_index + 1)",
        "self.match_index + 1",
        "peer_back_from_a_pause",
    ),
    Mutant(
        "never looks in on a quiet peer",
        Leader._look_in,
        "peer.append_at <= quiet_since",
        "False",
        "restarted_follower_learns_what_is_committed",
    ),
    Mutant(
        "never finds out that a disk was wiped",
        Progress.back_off,
        "if flight.known:",
        "if False:",
        "wiped_follower_catches_up",
    ),
    Mutant(
        "campaigns without a pre-vote",
        election.timed_out,
        "pre=True",
        "pre=False",
        "returning_server_does_not_unseat",
    ),
    Mutant(
        "leads on without a quorum",
        Leader._has_quorum_contact,
        "not heard or",
        "True or",
        "leader_without_quorum_steps_down",
    ),
    Mutant(
        "leads on without a disk",
        NodeState.disk_stalled,
        "self.now - since > self.settings.disk_stall_s",
        "False",
        "stalled_disk_unseats_the_leader",
    ),
    Mutant(
        "leads on after its removal",
        Leader.advance_commit,
        "not node.is_voter()",
        "False",
        "leader_removes_itself",
    ),
    Mutant(
        "refuses writes for ever after much work",
        Leader.advance_commit,
        "self.uncommitted_bytes -= self._batches.popleft()[1]",
        "self._batches.popleft()",
        "many_writes_leave_no_debt",
    ),
    Mutant(
        "counts waiting for room as a stall",
        Node._on_storage,
        "self.outbox.restart_clocks(self.now)",
        "pass",
        "full_disk_keeps_its_leader",
    ),
    Mutant(
        "gives notice to a peer that does not answer",
        Leader.give_notice,
        "peer.mode is Mode.PIPELINE and ",
        "",
        "no_notice_during_back_off",
    ),
]


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
