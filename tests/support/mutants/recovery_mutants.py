"""Deliberate bugs in a recovery: simulated clusters that are recovered must find them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from mutation import replaced

from quorate.raft.values import identity
from quorate.recovery import epochs, moved_state, plan, survivors, two_steps
from quorate.recovery.plan import Plan
from quorate.recovery.survivors import Survivors
from quorate.runtime import fencing
from quorate.runtime.raft import RaftDriver


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; one of `seeds` finds it, by this rule."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: range
    found_as: str


MUTANTS = [
    # Epochs.
    Mutant(
        "plans no new epoch",
        plan.make,
        "best.epoch.counter + 1",
        "best.epoch.counter",
        range(20),
        "is followed by",
    ),
    Mutant(
        "derives no new epoch from a list",
        epochs.next_epoch,
        "before.counter + 1",
        "before.counter",
        range(20),
        "is followed by",
    ),
    Mutant(
        "derives one epoch from all lists",
        epochs.next_epoch,
        "for server in sorted(configuration.servers, key=lambda server: server.id):",
        "for server in ():",
        range(20),
        "recovered apart, and of one epoch",
    ),
    Mutant(
        "looks at terms of another epoch",
        identity.objection,
        "theirs.epoch != ours.epoch:",
        "False:",
        range(2),
        "takes a request of epoch",
    ),
    Mutant(
        "takes epochs of one counter for one",
        identity.objection,
        "theirs.epoch != ours.epoch:",
        "theirs.epoch.counter != ours.epoch.counter:",
        range(20),
        "takes epochs for one",
    ),
    Mutant(
        "compares the epoch after the term",
        RaftDriver.objection,
        "if record is not None:",
        "if record is not None and getattr(message, 'term', 0) <= node.term:",
        range(2),
        "takes a request of epoch",
    ),
    Mutant(
        "lets a left-out server lead on",
        fencing.fence,
        "if why := left_out(ours, theirs):",
        "if False and (why := left_out(ours, theirs)):",
        range(2),
        "leads on, and was left out",
    ),
    Mutant(
        "takes every other epoch for a later one",
        identity.left_out,
        "theirs.epoch.counter <= ours.epoch.counter",
        "theirs.epoch == ours.epoch",
        range(20),
        "not within",
    ),
    # The choice of survivors.
    Mutant(
        "chooses the most advanced by its index alone",
        survivors.compare,
        "key=lambda each: each.reach",
        "key=lambda each: each.reach[::-1]",
        range(20),
        "lacks",
    ),
    Mutant(
        "gives the most advanced no vote in a list",
        Survivors.configuration,
        "member.voter or folder is self.best",
        "member.voter",
        range(60, 80),
        "no server of the list has a vote",
    ),
    Mutant(
        "lists survivors of an older term",
        survivors._is_older,
        "folder.reach[0] < best.reach[0]",
        "False",
        range(20),
        "lacks",
    ),
    Mutant(
        "lets all survivors of a plan take their whole log",
        Plan.takes_all_of,
        "server_id == self.leads",
        "True",
        range(20),
        "another state",
    ),
    # The checks of a plan.
    Mutant(
        "applies a plan to a server that has run since",
        plan.check,
        "found.reach != (mine[0].last_term, mine[0].last_index):",
        "False:",
        range(20),
        "to a server that has run since",
    ),
    Mutant(
        "does not ask for the names of the lost",
        plan.check,
        "if plan.left_out_may_decide and missing:",
        "if False:",
        range(2),
        "without the name of a server",
    ),
    Mutant(
        "takes the left-out servers for a minority",
        plan.make,
        "left_out_may_decide=found.may_decide",
        "left_out_may_decide=False",
        range(20),
        "without the name of a server",
    ),
    # The state that goes on.
    Mutant(
        "leaves the shift of the indexes out",
        moved_state.moved,
        "shift=store.shift + INDEXES_BETWEEN",
        "shift=store.shift",
        range(20),
        "do not go on above",
    ),
    Mutant(
        "shifts the indexes less than may have been given",
        moved_state.moved,
        "shift=store.shift + INDEXES_BETWEEN",
        "shift=store.shift + 1",
        range(2),
        "a client was told index",
    ),
    Mutant(
        "leaves locks with their holders",
        moved_state.moved,
        "if not row.lock_id or known is None:",
        "if True:",
        range(20),
        "a lock that nobody can have renewed",
    ),
    Mutant(
        "forgets the log behind the snapshot",
        moved_state.apply_log,
        "for entry in entries:",
        "for entry in ():",
        range(20),
        "lost a part of its state",
    ),
    Mutant(
        "goes on at the snapshot instead of the last entry",
        moved_state.last_entry,
        "return max((log.last_index, log.last_term), snapshot)",
        "return snapshot if snapshot[0] else (log.last_index, log.last_term)",
        range(20),
        "failed",
    ),
]

LIVE_MUTANTS = [
    Mutant(
        "begins although another survivor is not prepared",
        two_steps.unprepared,
        "told.get(each.server_id) != plan.digest",
        "each.server_id not in told",
        range(20, 40),
        "has begun without",
    ),
    Mutant(
        "follows before the one that decides has begun",
        two_steps.has_begun,
        "lead.epoch == plan.epochs[1]",
        "True",
        range(20),
        "begins before the one that decides",
    ),
    Mutant(
        "hears its epoch although it is prepared",
        RaftDriver.objection,
        "another or node.prepared:",
        "another:",
        range(20),
        "refuses:",
    ),
]
"""Those of servers that are recovered while they run."""


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
