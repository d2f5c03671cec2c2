"""Bounds of the state: how much memory all namespaces may take, and how much each of them.

A write that makes the state larger than a bound is refused where it is applied, so all servers
refuse the same. What makes it smaller, or leaves it as large as it is, always passes, and so do an
operator's acts: a restore, a namespace, the sealing of values after a rotation.

The bytes that count are those that a row takes in a server's memory (`Table.weigh`), not those of
its encoded form: small rows take several times as much. Tables that clients cannot make grow are
not counted; together they stay below some megabytes.

Unless an operator has set it, the bound of the whole state is a quarter of the memory of the
smallest server. A server holds the state once; while it installs a snapshot or restores an archive,
twice or three times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec
from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import (
    SINGLETON,
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
    cas_holds,
)

LIMITS_LEVEL: Final = 3
"""The feature level from which on the state has bounds."""

LIMITS_MAX: Final = 4096
"""Namespaces with a bound of their own."""

SHARE: Final = 4
"""Of the memory of the smallest server, one part in so many."""

COUNTED: Final = (
    *("acl_policies", "acl_roles", "acl_tokens"),
    *("locks", "namespaces", "variables"),
)
"""The tables that count, by name. Rows of a namespace have it as their group."""

_BOUNDLESS: Final = 1 << 62

MEMBERS_MAX: Final = 1024
"""Servers whose memory is kept: more than a cluster has."""

Memory = tuple[tuple[str, int], ...]
"""Server IDs, and how many bytes of memory each server has; in the order of the IDs."""


class Limit(Record, frozen=True, kw_only=True):
    """A bound in bytes, 0: none of its own.

    The row of the whole state also keeps the members' `memory`, from which its default follows.
    """

    bytes_max: int = 0
    memory: Memory = ()


class Full(msgspec.Struct, frozen=True, gc=False):
    """Nothing was written: it would grow beyond a bound.

    `namespace` is the one whose bound it is, empty for that of the whole state. `size` is what is
    taken now, `growth` what the write would add.
    """

    namespace: str
    size: int
    growth: int
    bytes_max: int


class SetLimit(Command, frozen=True, kw_only=True):
    """Set the bound of a namespace, or, if that is empty, of the whole state; 0 takes it away.

    With `cas` only if the modify index is just that. Result: why not, or empty.
    """

    TYPE: ClassVar[int] = 40
    LEVEL: ClassVar[int] = LIMITS_LEVEL
    SETTING: ClassVar[bool] = True

    namespace: str = SINGLETON
    bytes_max: int
    cas: int | None = None

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        known = tables.get(TABLE, self.namespace)
        if not cas_holds(self.cas, known):
            return "it has changed meanwhile"
        if self.namespace and not self.bytes_max:
            tables.delete(TABLE, self.namespace, index)
            return ""
        rows = tables.rows(TABLE)
        if self.namespace and known is None and len(rows) - (SINGLETON in rows) >= LIMITS_MAX:
            return f"there are {LIMITS_MAX} namespaces with a bound, which is the most there can be"
        record = replace(known or Limit(), bytes_max=self.bytes_max)
        tables.put(TABLE, self.namespace, record, index)
        return ""


class RecordMemory(Command, frozen=True, kw_only=True):
    """Keep the memory of the members. `first_bytes_max` is the bound if there is no record yet.

    Result: None.
    """

    TYPE: ClassVar[int] = 41
    LEVEL: ClassVar[int] = LIMITS_LEVEL

    memory: Memory
    first_bytes_max: int = 0

    def apply(self, tables: Tables, index: int) -> None:
        """See the class."""
        known = tables.get(TABLE, SINGLETON) or Limit(bytes_max=self.first_bytes_max)
        record = replace(known, memory=self.memory[:MEMBERS_MAX])
        tables.put(TABLE, SINGLETON, record, index)


def _merge(ours: OrderedMap[Limit], theirs: OrderedMap[Limit]) -> Mapping[str, Limit]:
    """A restore has the archive's namespaces with their bounds; that of the state stays."""
    rows = {key: row for key, row in theirs.items() if key != SINGLETON}
    whole = ours.get(SINGLETON)
    return rows if whole is None else {SINGLETON: whole, **rows}


TABLE: Final = Table(
    name="limits",
    record=Limit,
    on_restore=OnRestore.MERGED,
    restored="replaced but for the state's",
    merge=_merge,
    commands=(SetLimit, RecordMemory),
    level=LIMITS_LEVEL,
)


def smallest(record: Limit | None) -> tuple[str, int] | None:
    """The ID and memory of the smallest server that is known."""
    if record is None or not record.memory:
        return None
    return min(record.memory, key=lambda each: each[1])


def state_bytes_max(reader: Reader) -> int:
    """The bound of the whole state; 0 while there is none."""
    record = reader.get(TABLE, SINGLETON)
    if record is None:
        return 0
    if record.bytes_max:
        return record.bytes_max
    found = smallest(record)
    return 0 if found is None else found[1] // SHARE


def namespace_bytes_max(reader: Reader, namespace: str) -> int:
    """The bound of one namespace; 0: it has none."""
    record = reader.get(TABLE, namespace)
    return 0 if record is None else record.bytes_max


def state_bytes(reader: Reader) -> int:
    """The bytes that all rows that count take."""
    return sum(reader.weight(name) for name in COUNTED)


def namespace_bytes(reader: Reader, namespace: str) -> int:
    """The same of the variables and locks of one namespace."""
    return sum(reader.weights(name).get(namespace, 0) for name in COUNTED)


def beyond(reader: Reader, growth: Mapping[str, int]) -> Full | None:
    """The bound beyond which that growth, by namespace, would take the state; None if none."""
    total = sum(growth.values())
    if total > 0 and (most := state_bytes_max(reader)):
        size = state_bytes(reader)
        if size + total > most:
            return Full(SINGLETON, size, total, most)
    for namespace, more in growth.items():
        if more > 0 and (most := namespace_bytes_max(reader, namespace)):
            size = namespace_bytes(reader, namespace)
            if size + more > most:
                return Full(namespace, size, more, most)
    return None


def spare(reader: Reader) -> int:
    """So many bytes can be added wherever they go; 0 where it takes a closer look (`beyond`)."""
    rows, most = reader.rows(TABLE), state_bytes_max(reader)
    if len(rows) > 1 or (rows and SINGLETON not in rows):
        return 0
    return max(most - state_bytes(reader), 0) if most else _BOUNDLESS
