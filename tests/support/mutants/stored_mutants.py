"""Deliberate bugs in what a cluster stores: simulated lives must find them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from mutation import replaced

from quorate.autopilot.deciders import backing_up, expiring
from quorate.server.archive.replacing import Replacing
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.restore import rules as restore
from quorate.state.engine.store import StateStore
from quorate.state.tables import locks, variables
from quorate.state.tables.locks import AcquireLock, ExpireLock, RenewLock
from quorate.state.tables.variables import DeleteVariable, PutVariable, WriteVariables


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; one of `seeds` finds it, by this rule."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: range
    found_as: str


MUTANTS = [
    # Locks.
    Mutant(
        "expires a lock that was renewed meanwhile",
        ExpireLock.apply,
        "row.modify_index != self.since",
        "False",
        range(20),
        "by a renewal before the last",
    ),
    Mutant(
        "gives half the TTL from what a leader sees first",
        expiring.expiring,
        "now + length_ns / _NS_PER_S",
        "now + length_ns / _NS_PER_S / (1 if before else 2)",
        range(20),
        "after its renewal, the least is",
    ),
    Mutant(
        "counts on from an earlier renewal",
        expiring.expiring,
        "before is None or before.since != row.modify_index",
        "before is None",
        range(20),
        "after its renewal, the least is",
    ),
    Mutant(
        "counts a renewal as nothing",
        RenewLock.apply,
        "tables.put(TABLE, key, row, index)",
        "pass",
        range(3),
        "by a renewal before the last",
    ),
    Mutant(
        "counts holders for fences",
        AcquireLock._record,
        "lock_fence=index",
        "lock_fence=1 if known is None else known.lock_fence + 1",
        range(3),
        "fell from",
    ),
    Mutant(
        "releases a lock for another ID",
        locks._holder,
        "return known if known.lock_id == lock_id else Conflict(Why.LOCKED, known)",
        "return known",
        range(20),
        "True",
    ),
    Mutant(
        "forgets the delay of an expiry",
        ExpireLock.apply,
        "if row.lock_id and row.delay_ns:",
        "if False:",
        range(20),
        "before its delay was over",
    ),
    Mutant(
        "lets a lock be acquired within its delay",
        AcquireLock.apply,
        "if row is not None:",
        "if row is not None and row.lock_id:",
        range(20),
        "before its delay was over",
    ),
    Mutant(
        "takes writes that do not name the lock",
        variables._against,
        "lock_id == (",
        "True or (",
        range(3),
        "held by",
    ),
    # Variables.
    Mutant(
        "compares on the leader alone",
        PutVariable.apply,
        "if (why := _against(known, self.cas, self.lock_id)) is not None:",
        "if (why := _against(known, None, self.lock_id)) is not None:",
        range(3),
        "not linearizable",
    ),
    Mutant(
        "deletes whatever is there",
        DeleteVariable.apply,
        "self.cas",
        "None",
        range(20),
        "not linearizable",
    ),
    Mutant(
        "writes the first of several alone",
        WriteVariables.apply,
        "for each in self.operations]",
        "for each in self.operations[:1]]",
        range(20),
        "is not there after a write of several",
    ),
    # Restores.
    Mutant(
        "gives indexes of the log after a restore",
        StateStore.apply,
        "index + self._shift",
        "index",
        range(20),
        "has index",
    ),
    Mutant(
        "goes on shortly above the archive",
        Replacing._index,
        "+ JUMP",
        "+ 64",
        range(20),
        "a restore went on at",
    ),
    Mutant(
        "keeps the index of a row that a restore changes",
        restore._table,
        "record = replace(row, create_index=known.create_index, modify_index=index)",
        "record = row",
        range(20),
        "has index",
    ),
    Mutant(
        "leaves locks held after a restore",
        variables._without_locks,
        "if row.lock_id",
        "if False",
        range(40),
        "is locked after a restore",
    ),
    Mutant(
        "forgets the delays of locks that a restore ends",
        locks._merge,
        "if row.delay_ns",
        "if False",
        range(40),
        "no delay runs after a restore",
    ),
    Mutant(
        "leaves a restore that its leader began",
        Replacing.drop_left_over,
        "known is not None and",
        "False and",
        range(60),
        "a restore is under way that nobody will end",
    ),
    # Root keys.
    Mutant(
        "passes over values that are to be sealed again",
        Resealer._some,
        'if row.key_id in {key_id, ""}:',
        'if row.key_id in {key_id, ""} or looked_at % 3 == 0:',
        range(40),
        "ended, and",
    ),
    Mutant(
        "seals again beside what is under way with an older key",
        Resealer.step,
        "self._after, self._held_at = row.after, None",
        "self._after = row.after; begins = False; found, at_end = self._some(key_id)",
        range(78, 79),
        "ended, and",
    ),
    Mutant(
        "derives one data key for all leaders",
        Sealer.seal_packed,
        "self._draw(SALT_BYTES)",
        "bytes(SALT_BYTES)",
        range(3),
        "was used twice",
    ),
]

BACKUP_MUTANTS = [
    Mutant(
        "keeps the oldest backups",
        backing_up.surplus,
        "-item[1].create_index",
        "item[1].create_index",
        range(40),
        "the last verified backup, is deleted",
    ),
    Mutant(
        "takes a file for absent of which nothing is known",
        backing_up._concluded,
        "PLACING if put else TAKEN",
        '""',
        range(40),
        "are listed",
    ),
]
"""Found by lives with backups."""


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
