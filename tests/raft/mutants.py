"""Deliberate bugs: what the simulator must find, or it proves nothing.

A mutant replaces one piece of text in one function for as long as a `with` lasts.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple, cast

from quorate.raft import commitment, election, membership, receiver
from quorate.raft.leader import Leader
from quorate.raft.log import RaftLog
from quorate.raft.node import Node
from quorate.raft.state import NodeState


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; `seeds` are enough to find `new`."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: int


MUTANTS = [
    Mutant(
        "answers before the disk",
        NodeState.reply,
        "self.when_durable(effect)",
        "self.emit(effect)",
        1,
    ),
    Mutant(
        "votes twice in a term", election._vote, "return state.voted_for == candidate", "pass", 1
    ),
    Mutant(
        "votes for a log behind",
        RaftLog.up_to_date,
        "(last_term, last_index) >= (self.last_term, self.last_index)",
        "True",
        1,
    ),
    Mutant(
        "counts its own unsynced entries",
        Leader.advance_commit,
        "node.log.stable_index",
        "node.log.last_index",
        1,
    ),
    Mutant(
        "commits entries of older terms",
        Leader.advance_commit,
        "or node.log.term(index) != node.term",
        "",
        1,
    ),
    Mutant(
        "takes half for a majority",
        commitment.majority_value,
        "len(ordered) // 2",
        "(len(ordered) - 1) // 2",
        1,
    ),
    Mutant(
        "commits what the leader has not compared",
        receiver.on_append_entries,
        "_end_of(request))",
        "node.log.last_index)",
        1,
    ),
    Mutant(
        "keeps conflicting entries",
        receiver._fresh,
        "or node.log.term(entry.index) != entry.term",
        "",
        1,
    ),
    Mutant(
        "accepts without comparing",
        receiver._conflict,
        "if term == request.prev_log_term:",
        "if term is not None:",
        1,
    ),
    Mutant(
        "trusts the lease after handing over", Leader.lease_until, "self.handed_over or ", "", 1
    ),
    Mutant(
        "trusts the lease too long",
        Leader.lease_until,
        "+ node.settings.lease_s",
        "+ 2 * node.settings.lease_s",
        1,
    ),
    Mutant(
        "counts the lease from the answer",
        Leader._promised,
        "max(peer.promised_at, sent_at)",
        "self.node.now",
        1,
    ),
    Mutant(
        "reads before it has applied an own entry", Leader.request_read, "self.ready() and ", "", 1
    ),
    Mutant("reads without a round", Leader.release_reads, "r.proof <= proven and ", "", 1),
    Mutant(
        "votes although it heard a leader",
        election._follows_another,
        "if not node.heard_recently():",
        "if True:",
        1,
    ),
    Mutant(
        "forgets at start whom it heard",
        NodeState.__init__,
        "self.contact_at = now",
        "self.contact_at = now - 9",
        1,
    ),
    Mutant(
        "obeys a late TimeoutNow",
        election.on_timeout_now,
        "request.term in {0, node.term}",
        "True",
        1,
    ),
    Mutant(
        "changes two things at once",
        membership.refusal,
        "node.configuration_index > node.commit_index",
        "False",
        1,
    ),
    Mutant(
        "changes before its first commit",
        membership.refusal,
        "node.commit_index < first_own_index",
        "False",
        1,
    ),
    Mutant(
        "keeps a truncated configuration",
        NodeState.truncate_from,
        "self.configuration_index >= index",
        "False",
        1,
    ),
    Mutant(
        "keeps a log that a snapshot has replaced",
        RaftLog.__init__,
        "stored < snapshot_index or",
        "False or",
        1,
    ),
    Mutant(
        "drops acknowledged entries for a snapshot",
        receiver.on_snapshot_received,
        "node.log.term(index) == term",
        "False",
        1,
    ),
    Mutant(
        "lets a late write vouch for a truncated one",
        RaftLog.truncate_from,
        "min(last, self.last_index)",
        "last",
        1,
    ),
    Mutant("forgets an append that failed", Leader.on_failure, "peer.restart_probe()", "pass", 1),
    Mutant(
        "asks for votes before its own is durable",
        NodeState.emit_in_term,
        "self.outbox.hard_state_pending()",
        "False",
        1,
    ),
    Mutant(
        "counts its own vote before it is durable",
        election._begin,
        "if pre:",
        "if _grant(node, node.server_id) or pre:",
        1,
    ),
    Mutant(
        "refuses a voter that it does not know yet",
        election._out_of_place,
        "(request.last_log_term, request.last_log_index)",
        "(0, 0)",
        1,
    ),
    Mutant(
        "stays silent as the only one fit to lead",
        NodeState.may_campaign,
        "self.configuration_index > self.commit_index",
        "False",
        1,
    ),
    Mutant(
        "keeps a transfer of an older term",
        NodeState.become_leader,
        "handover.settle(self, self.server_id)",
        "pass",
        1,
    ),
    Mutant(
        "compacts what an install needs",
        Node._on_snapshot_stored,
        "self.leader.lowest_install() if self.leader else event.index",
        "event.index",
        1,
    ),
]


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The bug is in the code."""
    function = cast("FunctionType", mutant.function)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutant.old) == 1, f"{mutant.name}: look at {function.__qualname__} again"
    code = compile(
        source.replace(mutant.old, mutant.new),
        f"<{mutant.name}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
    )
    names: dict[str, Any] = {}
    exec(code, function.__globals__, names)
    kept = function.__code__
    function.__code__ = names[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = kept
