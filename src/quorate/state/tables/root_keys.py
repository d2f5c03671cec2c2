"""The root keys, by ID: from them come the keys that seal the values of variables.

One key is active: new values are sealed with it. A rotation adds a key, which is active from then
on, and the leader seals the older values again in the background. How far that has come stands in
the record of the active key, so that the next leader goes on there: `phase`, and `after`, the last
key of the table of variables that was looked at.

Invariants: at most one key is active, and it is never removed. `unused_index` of another key is the
index of the entry from which on no row is sealed with it, 0 as long as one may be. Nothing here
seals or opens a value: a server without the keys applies the same as the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec
from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import variables

ROOT_KEYS_LEVEL: Final = 3
"""The feature level from which on there are root keys."""

KEYS_MAX: Final = 64
"""A program that rotates in a loop does not fill the state."""

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
REKEYING: Final = "rekeying"
"""What was sealed with it is to be sealed again, by a full rotation that has not ended."""

VALUES: Final = "values"
"""The phase in which the leader seals older values again."""

DISKS: Final = "disks"
"""The phase in which each server makes a snapshot, and drops the older log: full rotations only."""

ALGORITHM: Final = "aes256-gcm"


class RootKey(Record, frozen=True, kw_only=True):
    """One key. `create_time` is Unix time in nanoseconds, of the leader that made it.

    `key` has 32 bytes. Of the active key `phase` is VALUES, DISKS, or empty when nothing is left to
    do; `full` says that disks follow values; `resealed` counts the values that were sealed again.
    `restores` counts the archives that were restored: each makes it another record, so that work on
    the rows of before ends. `wrapped_by` is the ID of the key outside of the cluster with which
    `key` is encrypted; empty: it is in the clear.
    """

    key: bytes
    create_time: int
    state: str = ACTIVE
    phase: str = ""
    full: bool = False
    after: str = ""
    resealed: int = 0
    unused_index: int = 0
    restores: int = 0
    wrapped_by: str = ""

    def __repr__(self) -> str:
        """Without the key."""
        return f"RootKey(state={self.state!r}, phase={self.phase!r})"


class AddRootKey(Command, frozen=True, kw_only=True):
    """Make this key the active one in place of the key `prev` (empty: of none).

    With `full` the older keys are to be done with, on disks too. Result: why not, or empty.
    """

    TYPE: ClassVar[int] = 32
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    key_id: str
    key: bytes
    create_time: int
    full: bool = False
    prev: str = ""
    wrapped_by: str = ""

    def __repr__(self) -> str:
        """Without the key."""
        return f"AddRootKey(key_id={self.key_id!r}, full={self.full}, prev={self.prev!r})"

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        rows = dict(tables.rows(TABLE))
        before = active(tables)
        if self.prev != (before[0] if before else ""):
            return "another key has become active meanwhile"
        if self.key_id in rows:
            return "a key with this ID is there already"
        if len(rows) >= KEYS_MAX:
            return f"there are {len(rows)} root keys, and no more are kept: remove older ones"
        for key_id, row in rows.items():
            older = replace(row, state=self._state_of(row), phase="", after="", full=False)
            if older != row:
                tables.put(TABLE, key_id, older, index)
        record = RootKey(
            key=self.key,
            wrapped_by=self.wrapped_by,
            create_time=self.create_time,
            phase=VALUES if rows else "",
            # One that did not end is not forgotten by the next.
            full=self.full or (before is not None and bool(before[1].phase) and before[1].full),
        )
        tables.put(TABLE, self.key_id, record, index)
        return ""

    def _state_of(self, older: RootKey) -> str:
        if self.full:
            return REKEYING
        return INACTIVE if older.state == ACTIVE else older.state


class EndPhase(Command, frozen=True, kw_only=True):
    """The phase of the active key `key_id` is over. Result: whether it was in that phase.

    Only if its record is as it was at `modify_index`: a restore begins VALUES once more. After
    VALUES no row is sealed with an older key.
    """

    TYPE: ClassVar[int] = 33
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    key_id: str
    phase: str
    modify_index: int

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        row = in_phase(tables, self.key_id, self.phase, self.modify_index)
        if row is None:
            return False
        disks = self.phase == VALUES and row.full
        for key_id, other in list(tables.rows(TABLE).items()):
            if key_id == self.key_id:
                continue
            state = other.state if disks else INACTIVE
            done = replace(other, state=state, unused_index=other.unused_index or index)
            if done != other:
                tables.put(TABLE, key_id, done, index)
        ended = replace(row, phase=DISKS if disks else "", after="", full=disks)
        tables.put(TABLE, self.key_id, ended, index)
        return True


class RemoveRootKey(Command, frozen=True, kw_only=True):
    """Remove a key that is not active, as it was at `modify_index`. Result: why not, or empty.

    The leader has seen that no row needs it.
    """

    TYPE: ClassVar[int] = 34
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    key_id: str
    modify_index: int

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        row = tables.get(TABLE, self.key_id)
        if row is None:
            return NOT_FOUND
        if row.state == ACTIVE:
            return STILL_ACTIVE
        if row.modify_index != self.modify_index:
            return "the key has changed meanwhile"
        tables.delete(TABLE, self.key_id, index)
        return ""


class Resealed(msgspec.Struct, frozen=True, gc=False):
    """The value of the variable's row `key`, sealed again. `was` is the nonce of the older seal.

    A nonce stands for one sealed value. A modify index does not: locks raise it and keep the value.
    """

    key: str
    was: bytes
    data: bytes
    nonce: bytes


class ReplaceSeals(Command, frozen=True, kw_only=True):
    """Put these values in place, sealed with the active key `key_id`; rows up to `after` are done.

    They are the same values in another form: no index of a variable moves, and no watch wakes.
    Only while the record of that key is as it was at `modify_index`: then no restore, and no other
    leader, came between. A value that was written since stays as it is. Result: the modify index
    of the record now, 0 if nothing was done.
    """

    TYPE: ClassVar[int] = 35
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    key_id: str
    modify_index: int
    after: str
    rows: tuple[Resealed, ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        record = in_phase(tables, self.key_id, VALUES, self.modify_index)
        if record is None:
            return 0
        count = 0
        for each in self.rows:
            row = tables.get(variables.TABLE, each.key)
            if row is None or row.nonce != each.was or row.key_id == self.key_id:
                continue
            sealed = replace(row, data=each.data, key_id=self.key_id, nonce=each.nonce)
            tables.amend(variables.TABLE, each.key, sealed)
            count += 1
        record = replace(record, after=self.after, resealed=record.resealed + count)
        tables.put(TABLE, self.key_id, record, index)
        return index


class Rewrapped(msgspec.Struct, frozen=True, gc=False):
    """The root key `key_id` in another wrapping, if its record is as it was at `modify_index`."""

    key_id: str
    modify_index: int
    key: bytes
    wrapped_by: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Rewrapped(key_id={self.key_id!r}, wrapped_by={self.wrapped_by!r})"


class RewrapRootKeys(Command, frozen=True, kw_only=True):
    """Put these in place: the same root keys, wrapped with another key or none. Result: how many.

    What seals values stays as it is.
    """

    TYPE: ClassVar[int] = 36
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    rows: tuple[Rewrapped, ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        count = 0
        for each in self.rows:
            row = tables.get(TABLE, each.key_id)
            if row is None or row.modify_index != each.modify_index:
                continue
            wrapped = replace(row, key=each.key, wrapped_by=each.wrapped_by)
            tables.put(TABLE, each.key_id, wrapped, index)
            count += 1
        return count


NOT_FOUND: Final = "root key not found"
STILL_ACTIVE: Final = "active root key cannot be deleted - call rotate first"


def _merged(ours: OrderedMap[RootKey], theirs: OrderedMap[RootKey]) -> Mapping[str, RootKey]:
    """All keys of both. The cluster's own active key stays it, and seals what the archive brings.

    Which of the other keys the archive's rows need is not known here.
    """
    merged = {key_id: replace(row, unused_index=0) for key_id, row in (*theirs.items(),)}
    merged.update((key_id, replace(row, unused_index=0)) for key_id, row in ours.items())
    own = next((key_id for key_id, row in ours.items() if row.state == ACTIVE), "")
    for key_id, row in merged.items():
        if row.state == ACTIVE and own not in {"", key_id}:
            merged[key_id] = replace(row, state=INACTIVE, phase="", after="", full=False)
        elif row.state == ACTIVE:
            full = bool(row.phase) and row.full
            times = row.restores + 1
            merged[key_id] = replace(
                row, phase=VALUES, after="", resealed=0, full=full, restores=times
            )
    return merged


TABLE: Final = Table(
    name="root_keys",
    record=RootKey,
    on_restore=OnRestore.MERGED,
    restored="both",
    commands=(AddRootKey, EndPhase, RemoveRootKey, ReplaceSeals, RewrapRootKeys),
    level=ROOT_KEYS_LEVEL,
    merge=_merged,
)


def active(reader: Reader) -> tuple[str, RootKey] | None:
    """The ID and record of the active key, or None while there is none."""
    for key_id, row in reader.rows(TABLE).items():
        if row.state == ACTIVE:
            return key_id, row
    return None


def in_phase(reader: Reader, key_id: str, phase: str, modify_index: int) -> RootKey | None:
    """The record of that key if it is in that phase, and as it was at that index."""
    row = reader.get(TABLE, key_id)
    if row is None or row.phase != phase or row.modify_index != modify_index:
        return None
    return row
