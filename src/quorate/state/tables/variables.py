"""Variables: small maps of texts by namespace and path (docs/variables.md).

The items of a variable travel and lie here as bytes that nothing in this room reads: they may be
sealed, and a server applies, installs and compares them without the key. The time of day in a
command is that of the leader that wrote it.

Keys are namespace, a zero byte, path. So rows lie by namespace and path, and the variables of a
namespace with a prefix are one scan. Neither part holds a zero byte where it was checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import ClassVar, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import (
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
    cas_holds,
)
from quorate.state.tables import limits
from quorate.state.tables.limits import Full

VARIABLES_LEVEL: Final = 3
"""The feature level from which on there are variables."""

OPERATIONS_MAX: Final = 64
"""Of one `WriteVariables`."""

ROW_BYTES: Final = 640
"""Memory of a row beside its texts and bytes, measured: records of 16 and of 256 bytes take 610."""

_SEPARATOR: Final = "\0"
_BEHIND: Final = "\1"
"""Follows a namespace in a key that is above all of its variables, and below the next one's."""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """The items of a variable as bytes: in the clear if `key_id` is empty, else encrypted."""

    data: bytes
    key_id: str = ""
    nonce: bytes = b""


class Variable(Record, frozen=True, kw_only=True):
    """One variable. Times are Unix nanoseconds; `data`, `key_id`, `nonce` are its sealed items.

    `lock_id` is the ID that holds its lock, empty if none does; the fence is the index of the entry
    that acquired it (`state.tables.locks`).
    """

    namespace: str
    path: str
    data: bytes
    key_id: str = ""
    nonce: bytes = b""
    create_time: int
    modify_time: int
    lock_id: str = ""
    lock_ttl_ns: int = 0
    lock_delay_ns: int = 0
    lock_fence: int = 0


class Why(Enum):
    """Why nothing was written."""

    CAS = "cas"
    """The modify index is another one."""
    LOCKED = "locked"
    """Another ID holds the lock, or none does although one was named."""
    DELAY = "delay"
    """The lock has expired, and its delay runs."""
    NOT_HELD = "not held"
    """No ID holds the lock."""
    MISSING = "missing"
    """There is no variable."""
    TOO_MANY = "too many"
    """There are as many locks as there may be."""


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """Nothing was written. `current` is the variable as it is, None if there is none.

    `position` is that of the operation which failed, of several in one command.
    """

    why: Why
    current: Variable | None
    position: int = 0


def weigh(row: Variable) -> tuple[str, int]:
    """Its namespace, and the memory that it takes. The key holds namespace and path once more."""
    return row.namespace, ROW_BYTES + 2 * (len(row.namespace) + len(row.path)) + len(row.data)


def _gain(before: Variable, after: Variable) -> int:
    """How much more the second of two records of one variable weighs."""
    return len(after.data) - len(before.data)


def growth(known: Variable | None, namespace: str, path: str, data: bytes) -> int:
    """How much more memory a variable takes with that data in place of what is known."""
    if known is not None:
        return len(data) - len(known.data)
    return ROW_BYTES + 2 * (len(namespace) + len(path)) + len(data)


Written: TypeAlias = Variable | None
"""What is there after a write: None after a deletion."""


def key_of(namespace: str, path: str) -> str:
    """The key of a variable's row; also the start of the keys of all whose paths begin so."""
    return namespace + _SEPARATOR + path


class Operation(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One of several writes: `items` replace those of the variable, None deletes it.

    With `cas` only if the modify index is just that; 0 is that of no variable. `lock_id` is that
    of the lock if it is held. With `only_check` nothing is written.
    """

    namespace: str
    path: str
    items: Sealed | None = None
    cas: int | None = None
    only_check: bool = False
    lock_id: str = ""


class PutVariable(Command, frozen=True, kw_only=True):
    """Write a variable whole. With `cas` only if its modify index is just that.

    `lock_id` must be the ID that holds its lock, empty if none does. Result: the record, Conflict,
    or Full.
    """

    TYPE: ClassVar[int] = 16
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    time_ns: int
    data: bytes
    key_id: str = ""
    nonce: bytes = b""
    cas: int | None = None
    lock_id: str = ""

    def apply(self, tables: Tables, index: int) -> Variable | Conflict | Full:
        """See the class."""
        key = key_of(self.namespace, self.path)
        known = tables.get(TABLE, key)
        if (
            known is not None
            and self.cas is None
            and not (known.lock_id or self.lock_id)
            and len(self.data) <= len(known.data)
        ):
            return self.put(tables, index, known)  # nothing of what follows can be against it
        if (why := _against(known, self.cas, self.lock_id)) is not None:
            return Conflict(why, known)
        if (full := self._full(tables, known)) is not None:
            return full
        return self.put(tables, index, known)

    def full(self, reader: Reader) -> Full | None:
        """The bound beyond which it would take the state now; None if that is a Conflict."""
        known = by_path(reader, self.namespace, self.path)
        if _against(known, self.cas, self.lock_id) is not None:
            return None
        return self._full(reader, known)

    def _full(self, reader: Reader, known: Variable | None) -> Full | None:
        more = growth(known, self.namespace, self.path, self.data)
        return limits.beyond(reader, {self.namespace: more}) if more > 0 else None

    def put(self, tables: Tables, index: int, known: Variable | None) -> Variable:
        """Put the record in place of the known one, whatever the conditions."""
        record = Variable(
            namespace=self.namespace,
            path=self.path,
            data=self.data,
            key_id=self.key_id,
            nonce=self.nonce,
            create_time=self.time_ns if known is None else known.create_time,
            modify_time=self.time_ns,
        )
        if known is not None and known.lock_id:
            record = replace(
                record,
                lock_id=known.lock_id,
                lock_ttl_ns=known.lock_ttl_ns,
                lock_delay_ns=known.lock_delay_ns,
                lock_fence=known.lock_fence,
            )
        return tables.put(TABLE, key_of(self.namespace, self.path), record, index)


class DeleteVariable(Command, frozen=True, kw_only=True):
    """Delete a variable; one that is not there is no error, one whose lock is held is one.

    Result: None, or Conflict.
    """

    TYPE: ClassVar[int] = 17
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    namespace: str
    path: str
    cas: int | None = None

    def apply(self, tables: Tables, index: int) -> Conflict | None:
        """See the class."""
        key = key_of(self.namespace, self.path)
        known = tables.get(TABLE, key)
        if (why := _against(known, self.cas, "")) is not None:
            return Conflict(why, known)
        tables.delete(TABLE, key, index)
        return None


class WriteVariables(Command, frozen=True, kw_only=True):
    """Several writes, all or nothing. Each condition is that of the state before the command.

    Result: what is there after each operation, the first Conflict, or Full: all that they add and
    take away counts together, so a write may move what a full state holds. Of two operations on
    one variable the caller must not send both (`docs/variables.md`): then the last one counts.
    """

    TYPE: ClassVar[int] = 18
    LEVEL: ClassVar[int] = VARIABLES_LEVEL

    time_ns: int
    operations: tuple[Operation, ...]

    def apply(self, tables: Tables, index: int) -> tuple[Written, ...] | Conflict | Full:
        """See the class."""
        if (conflict := self._conflict(tables)) is not None:
            return conflict
        if (full := self._full(tables)) is not None:
            return full
        return tuple([self._written(each, tables, index) for each in self.operations])

    def full(self, reader: Reader) -> Full | None:
        """The bound beyond which it would take the state now; None if that is a Conflict."""
        return None if self._conflict(reader) is not None else self._full(reader)

    def _conflict(self, reader: Reader) -> Conflict | None:
        for position, each in enumerate(self.operations):
            known = by_path(reader, each.namespace, each.path)
            if (why := _refusal(each, known)) is not None:
                return Conflict(why, known, position)
        return None

    def _full(self, reader: Reader) -> Full | None:
        more: dict[str, int] = {}
        for each in self.operations:
            if each.only_check:
                continue
            namespace, known = each.namespace, by_path(reader, each.namespace, each.path)
            if each.items is not None:
                added = growth(known, namespace, each.path, each.items.data)
            else:
                added = 0 if known is None else -weigh(known)[1]
            more[namespace] = more.get(namespace, 0) + added
        return limits.beyond(reader, more)

    def _written(self, each: Operation, tables: Tables, index: int) -> Written:
        if each.only_check:
            return tables.get(TABLE, key_of(each.namespace, each.path))
        if each.items is None:
            DeleteVariable(namespace=each.namespace, path=each.path).apply(tables, index)
            return None
        put = PutVariable(
            namespace=each.namespace,
            path=each.path,
            time_ns=self.time_ns,
            data=each.items.data,
            key_id=each.items.key_id,
            nonce=each.items.nonce,
            lock_id=each.lock_id,
        )
        return put.put(tables, index, by_path(tables, each.namespace, each.path))


def _against(known: Variable | None, cas: int | None, lock_id: str) -> Why | None:
    """Why that write may not be done."""
    if not cas_holds(cas, known):
        return Why.CAS
    return None if lock_id == ("" if known is None else known.lock_id) else Why.LOCKED


def _refusal(each: Operation, known: Variable | None) -> Why | None:
    """Why that operation may not be done; a check without an ID looks at no lock."""
    deletes = each.items is None and not each.only_check
    if each.only_check and not each.lock_id:
        return None if cas_holds(each.cas, known) else Why.CAS
    return _against(known, each.cas, "" if deletes else each.lock_id)


def _without_locks(_: OrderedMap[Variable], theirs: OrderedMap[Variable]) -> Mapping[str, Variable]:
    """A restore has the archive's variables; no lock is held after it (`state.tables.locks`)."""
    return {
        key: replace(row, lock_id="", lock_ttl_ns=0, lock_delay_ns=0, lock_fence=0)
        if row.lock_id
        else row
        for key, row in theirs.items()
    }


TABLE: Final = Table(
    name="variables",
    record=Variable,
    on_restore=OnRestore.MERGED,
    restored="replaced, unlocked",
    merge=_without_locks,
    commands=(PutVariable, DeleteVariable, WriteVariables),
    level=VARIABLES_LEVEL,
    weigh=weigh,
    gain=_gain,
)


def by_path(reader: Reader, namespace: str, path: str) -> Variable | None:
    """The variable, or None."""
    return reader.get(TABLE, key_of(namespace, path))


def any_in(reader: Reader, namespace: str) -> Variable | None:
    """The first variable of a namespace, None if it has none."""
    return next((row for _, row in reader.scan(TABLE, key_of(namespace, ""), limit=1)), None)


def listed(reader: Reader, namespace: str, prefix: str, start: str = "") -> Iterator[Variable]:
    """Those of a namespace whose paths begin with `prefix`, in order, from the key `start` on."""
    first = reader.get(TABLE, start) if start else None
    whole = key_of(namespace, prefix)
    if first is not None and start.startswith(whole):
        yield first
    for _, row in reader.scan(TABLE, whole, start or None):
        yield row


def listed_in_all(reader: Reader, prefix: str, start: str = "") -> Iterator[Variable]:
    """The same of all namespaces, by namespace and path.

    A namespace without such a path costs one look at the table.
    """
    namespace, separator, _ = start.partition(_SEPARATOR)
    if separator:
        yield from listed(reader, namespace, prefix, start)
        namespace += _BEHIND
    while True:
        found = next(reader.scan(TABLE, after=namespace or None, limit=1), None)
        if found is None:
            return
        namespace = found[1].namespace
        yield from listed(reader, namespace, prefix)
        namespace += _BEHIND
