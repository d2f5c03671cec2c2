"""What a table is, and the tables together: immutable records by key, and each table's index.

Invariant: a record is never changed in place, only replaced, so a copy of the dictionaries is a
consistent picture of the state for as long as somebody holds it. The index of a table is that of
the last command that changed it; a deletion raises it too (docs/http-api.md#blocking-queries).

Records and commands leave fields at their default out when encoded. So a record may get a field
in a later version, and older servers go on understanding whatever does not use it. Rules follow: a
default never changes its value; a new field has a default that means "as before"; only commands of
the level that brought the field write it. A command that needs another field is a new command, with
a type byte and a level of its own: a server that knows the type but not the field stops applying.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

import msgspec
from msgspec.structs import replace

from quorate.state.engine.changes import Change

SINGLETON = ""
"""The key of the only record of a table that has one record."""


IGNORABLE = 0x80
"""Bit of a command's type: a version that does not know the command may go on without it."""


class Record(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One row. The indexes are those of the log entries that created and last changed it."""

    create_index: int = 0
    modify_index: int = 0


R = TypeVar("R", bound=Record)


class Command(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One change of the state, as a value. `TYPE` is its number in the log and is never reused.

    `LEVEL` is the cluster's level from which on a leader may write it. With the bit `IGNORABLE` in
    its type a version that does not know it passes it over; then it must change no table. With
    `SETTING` it is an operator's change of settings, and the journal tells of it.
    """

    TYPE: ClassVar[int]
    LEVEL: ClassVar[int] = 0
    SETTING: ClassVar[bool] = False

    def apply(self, tables: Tables, index: int) -> Any:
        """Change `tables`; the result goes to whoever waits for the entry.

        Must depend on nothing but the tables, the command and the index, and must not raise:
        every server of the cluster does the same or the states part.
        """
        raise NotImplementedError


class Table(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A kind of record, the commands that change it, and what a fresh server holds of it.

    `level` is the cluster's level from which on it may hold anything but its `initial` rows.
    """

    name: str
    record: type[R]
    commands: tuple[type[Command], ...] = ()
    initial: Mapping[str, R] = MappingProxyType({})
    initial_index: int = 0
    level: int = 0


def cas_holds(cas: int | None, record: Record | None) -> bool:
    """Whether a write that demands modify index `cas` may go on; an absent record has index 0."""
    return cas is None or cas == (0 if record is None else record.modify_index)


class Reader(Protocol):
    """What can be asked for records: the tables themselves, and the store around them."""

    def get(self, table: Table[R], key: str) -> R | None:
        """The record with this key, or None."""

    def rows(self, table: Table[R]) -> Mapping[str, R]:
        """All records of the table by key. Not to be kept across a change."""


class Tables:
    """The rows of all tables. `changes` are those made since it was last cleared, in order."""

    def __init__(self, rows: dict[str, dict[str, Record]], indexes: dict[str, int]) -> None:
        self.all_rows = rows
        self.indexes = indexes
        self.changes: list[Change] = []

    def get(self, table: Table[R], key: str) -> R | None:
        """The record with this key, or None."""
        return cast("R | None", self.all_rows[table.name].get(key))

    def rows(self, table: Table[R]) -> Mapping[str, R]:
        """All records of the table by key."""
        return cast("Mapping[str, R]", self.all_rows[table.name])

    def put(self, table: Table[R], key: str, record: R, index: int) -> None:
        """Insert or replace a record by the command at `index`, which stamps its indexes."""
        rows = self.all_rows[table.name]
        known = rows.get(key)
        created = index if known is None else known.create_index
        rows[key] = stamped = replace(record, create_index=created, modify_index=index)
        self._touch(Change(table.name, key, known, stamped, index))

    def delete(self, table: Table[R], key: str, index: int) -> bool:
        """Remove a record by the command at `index`; False if there was none."""
        known = self.all_rows[table.name].pop(key, None)
        if known is None:
            return False
        self._touch(Change(table.name, key, known, None, index))
        return True

    def _touch(self, change: Change) -> None:
        self.indexes[change.table] = change.index
        self.changes.append(change)
