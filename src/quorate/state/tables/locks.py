"""Locks on variables: held by an ID for a time that the leader keeps (docs/variables.md#locks).

No time of day decides here. The leader counts, and writes `ExpireLock` when a lock was not renewed
for its TTL. That entry names the last entry which renewed the lock: a renewal that is first wins.
After an expiry the lock is held by nobody for its delay, so that a holder which has not noticed yet
can stop. The fencing number of a lock is the index of the entry that acquired it: it only rises.

A lock's row stands beside the variable, so that a renewal does not change the variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import limits, variables
from quorate.state.tables.limits import Full
from quorate.state.tables.variables import VARIABLES_LEVEL, Conflict, Variable, Why, key_of

LOCKS_MAX: Final = 16_384
"""Locks at one time: the leader looks at all of them several times a second."""


ROW_BYTES: Final = 512
"""Memory of a row beside its texts."""


class LockRow(Record, frozen=True, kw_only=True):
    """A lock that is held, or, without an ID, one that expired and whose delay runs.

    The modify index is that of the entry that acquired or renewed it last, or expired it.
    """

    namespace: str
    path: str
    lock_id: str = ""
    ttl_ns: int
    delay_ns: int


def weigh(row: LockRow) -> tuple[str, int]:
    """Its namespace, and the memory that it takes. A row of a delay counts as one with an ID."""
    return row.namespace, ROW_BYTES + 2 * (len(row.namespace) + len(row.path))


class AcquireLock(Command, frozen=True, kw_only=True):
    """Hold the lock, unless another ID does; the same ID renews it.

    The items are those of a variable that is not there yet, or replace them unless `keep`. Result:
    the record, Conflict, or Full.
    """

    TYPE: ClassVar[int] = 19
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    time_ns: int
    lock_id: str
    ttl_ns: int
    delay_ns: int
    data: bytes
    key_id: str = ""
    nonce: bytes = b""
    keep: bool = False

    def apply(self, tables: Tables, index: int) -> Variable | Conflict | Full:
        """See the class."""
        key = key_of(self.namespace, self.path)
        known, row = tables.get(variables.TABLE, key), tables.get(TABLE, key)
        if row is not None and row.lock_id == self.lock_id:
            assert known is not None, "a variable with a lock is not deleted"
            tables.put(TABLE, key, row, index)
            return known
        if row is not None:
            return Conflict(Why.LOCKED if row.lock_id else Why.DELAY, known)
        if len(tables.rows(TABLE)) >= LOCKS_MAX:
            return Conflict(Why.TOO_MANY, known)
        if (full := self.full(tables)) is not None:
            return full
        tables.put(TABLE, key, self._row(), index)
        return tables.put(variables.TABLE, key, self._record(known, index), index)

    def full(self, reader: Reader) -> Full | None:
        """The bound beyond which it would take the state now; a renewal takes it nowhere."""
        key = key_of(self.namespace, self.path)
        if reader.get(TABLE, key) is not None:
            return None
        known = reader.get(variables.TABLE, key)
        more = weigh(self._row())[1]
        if known is None or not self.keep:
            more += variables.growth(known, self.namespace, self.path, self.data)
        return limits.beyond(reader, {self.namespace: more})

    def _row(self) -> LockRow:
        return LockRow(
            namespace=self.namespace,
            path=self.path,
            lock_id=self.lock_id,
            ttl_ns=self.ttl_ns,
            delay_ns=self.delay_ns,
        )

    def _record(self, known: Variable | None, index: int) -> Variable:
        kept = known if self.keep else None
        return Variable(
            namespace=self.namespace,
            path=self.path,
            data=self.data if kept is None else kept.data,
            key_id=self.key_id if kept is None else kept.key_id,
            nonce=self.nonce if kept is None else kept.nonce,
            create_time=self.time_ns if known is None else known.create_time,
            modify_time=self.time_ns,
            lock_id=self.lock_id,
            lock_ttl_ns=self.ttl_ns,
            lock_delay_ns=self.delay_ns,
            lock_fence=index,
        )


class RenewLock(Command, frozen=True, kw_only=True):
    """Hold the lock for another TTL. Result: the variable's record, or Conflict."""

    TYPE: ClassVar[int] = 20
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    lock_id: str

    def apply(self, tables: Tables, index: int) -> Variable | Conflict:
        """See the class."""
        key = key_of(self.namespace, self.path)
        found = _holder(tables, key, self.lock_id)
        if isinstance(found, Variable):
            row = tables.get(TABLE, key)
            assert row is not None, "a lock that is held has a row"
            tables.put(TABLE, key, row, index)
        return found


class ReleaseLock(Command, frozen=True, kw_only=True):
    """Give the lock up; it can be acquired at once. Result: the record, or Conflict."""

    TYPE: ClassVar[int] = 21
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    time_ns: int
    lock_id: str

    def apply(self, tables: Tables, index: int) -> Variable | Conflict:
        """See the class."""
        key = key_of(self.namespace, self.path)
        found = _holder(tables, key, self.lock_id)
        if isinstance(found, Conflict):
            return found
        tables.delete(TABLE, key, index)
        record = replace(unlocked(found), modify_time=self.time_ns)
        return tables.put(variables.TABLE, key, record, index)


class ExpireLock(Command, frozen=True, kw_only=True):
    """End a lock, or the delay of one that has ended, if it is as it was at the entry `since`.

    Result: whether it was.
    """

    TYPE: ClassVar[int] = 22
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    since: int
    time_ns: int

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        key = key_of(self.namespace, self.path)
        row = tables.get(TABLE, key)
        if row is None or row.modify_index != self.since:
            return False
        if row.lock_id:
            known = tables.get(variables.TABLE, key)
            assert known is not None, "a variable with a lock is not deleted"
            record = replace(unlocked(known), modify_time=self.time_ns)
            tables.put(variables.TABLE, key, record, index)
        if row.lock_id and row.delay_ns:
            tables.put(TABLE, key, replace(row, lock_id=""), index)
        else:
            tables.delete(TABLE, key, index)
        return True


def _holder(tables: Tables, key: str, lock_id: str) -> Variable | Conflict:
    """The variable, if that ID holds its lock."""
    known = tables.get(variables.TABLE, key)
    if known is None:
        return Conflict(Why.MISSING, None)
    if not known.lock_id:
        return Conflict(Why.NOT_HELD, known)
    return known if known.lock_id == lock_id else Conflict(Why.LOCKED, known)


def unlocked(record: Variable) -> Variable:
    """The record without its lock."""
    return replace(record, lock_id="", lock_ttl_ns=0, lock_delay_ns=0, lock_fence=0)


def _merge(ours: OrderedMap[LockRow], theirs: OrderedMap[LockRow]) -> Mapping[str, LockRow]:
    """After a restore no lock is held, and the delays of all that were held run."""
    rows = {**dict(theirs.items()), **dict(ours.items())}
    return {key: replace(row, lock_id="") for key, row in rows.items() if row.delay_ns}


TABLE: Final = Table(
    name="locks",
    record=LockRow,
    on_restore=OnRestore.MERGED,
    restored="ended",
    merge=_merge,
    commands=(AcquireLock, RenewLock, ReleaseLock, ExpireLock),
    level=VARIABLES_LEVEL,
    weigh=weigh,
)


def all_locks(reader: Reader) -> Mapping[str, LockRow]:
    """The rows by key."""
    return reader.rows(TABLE)
