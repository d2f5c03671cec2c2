"""One table, and all tables together: immutable records by key, and each table's index.

A file of `state.tables` finds here all that it needs.

Invariant: a record is never changed in place, only replaced, so an image of the rows is a
consistent picture of the state for as long as something holds it. The index of a table is that of
the last command that changed it; a deletion raises it too (docs/http-api.md#blocking-queries).

Records and commands leave fields at their default out when encoded. So a record may get a field
in a later version, and older servers go on understanding whatever does not use it. Rules follow: a
default never changes its value; a new field has a default that means "as before"; only commands of
the level that brought the field write it. A command that needs another field is a new command, with
a type byte and a level of its own: a server that knows the type but not the field stops applying.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, Protocol

import msgspec

from quorate.state.engine.changes import Change
from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.record import R, Record, cas_holds
from quorate.state.engine.rows import Gain, Indexes, TableRows, Weigh

__all__ = [
    "IGNORABLE",
    "SINGLETON",
    "Change",
    "Command",
    "OnRestore",
    "R",
    "Reader",
    "Record",
    "Table",
    "Tables",
    "Wrapper",
    "cas_holds",
]

SINGLETON = ""
"""The key of the only record of a table that has one record."""


IGNORABLE = 0x80
"""Bit of a command's type: a version that does not know the command may go on without it."""


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
        """Change `tables`; the result goes to the caller that waits for the entry.

        Must depend on nothing but the tables, the command and the index, and must not raise:
        every server of the cluster does the same or the states part.
        """
        raise NotImplementedError


class Special(Command, frozen=True, kw_only=True):
    """A command that is not complete when its bytes are decoded."""


class Bound(Special, frozen=True, kw_only=True):
    """A command with rows of tables in it, which are read by the tables that a version knows."""

    def bind(self, tables: dict[str, Table[Any]]) -> Command:
        """The command to be applied. Raises ValueError for what this version cannot read."""
        raise NotImplementedError


class Wrapper(Special, frozen=True, kw_only=True):
    """A command that holds another one, encoded. It is read and written only where both are.

    Decoding gives a `Wrapped` of both (`state.engine.commands`), and the level of both counts where
    it is proposed. It cannot hold a wrapper.
    """

    command: bytes

    def carry_out(self, command: Command, tables: Tables, index: int) -> Any:
        """Apply the command that it holds, now decoded. Rules and result as those of `apply`."""
        raise NotImplementedError


class OnRestore(Enum):
    """The effect of the restore of an archive on a table (`engine.restore`)."""

    REPLACED = "replaced"
    """The archive's rows."""
    KEPT = "kept"
    """The rows of the cluster that is restored into, whatever the archive holds."""
    MERGED = "merged"
    """What the table's `merge` makes of both."""


class Table(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A kind of record, the commands that change it, and what a fresh server holds of it.

    `level` is the cluster's level from which on it may hold anything but its `initial` rows.
    `indexes` are its secondary indexes: by name, a pure function from a record to the values under
    which `Tables.with_value` finds it. `merge` makes one table of the rows that are there and the
    archive's; `merge_all` does it where that takes other tables too. One of them is there if
    `on_restore` is MERGED; `restored` says what becomes of it, in a few words for people. `weigh`
    is there if clients make the table grow: what its rows take counts against the bound of the
    state (`tables.limits`). `gain` is the short way to the difference of two records of one key,
    where these are always of one group.
    """

    name: str
    record: type[R]
    on_restore: OnRestore
    commands: tuple[type[Command], ...] = ()
    initial: Mapping[str, R] = MappingProxyType({})
    initial_index: int = 0
    level: int = 0
    indexes: Indexes[R] = MappingProxyType({})
    merge: Callable[[OrderedMap[R], OrderedMap[R]], Mapping[str, R]] | None = None
    merge_all: Callable[[Reader, Reader], Mapping[str, R]] | None = None
    restored: str = ""
    weigh: Weigh[R] | None = None
    gain: Gain[R] | None = None

    def fresh(self) -> TableRows[R]:
        """The rows of a server that has applied nothing."""
        return TableRows(self.indexes, self.initial, self.initial_index, self.weigh, gain=self.gain)

    def built(self, index: int, entries: Iterable[tuple[str, R]]) -> TableRows[R]:
        """A table of these rows, best in the order of keys. ValueError if a key is there twice."""
        return TableRows.built(self.indexes, index, entries, self.weigh, gain=self.gain)


class Reader(Protocol):
    """The interface that gives records: the tables themselves, and the store around them."""

    def get(self, table: Table[R], key: str) -> R | None:
        """The record with this key, or None."""

    def rows(self, table: Table[R]) -> Mapping[str, R]:
        """All records of the table by key, in order. Not to be kept across a change."""

    def scan(
        self, table: Table[R], prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, R]]:
        """Keys that begin with `prefix` and their records, in order, from behind the key `after`.

        The rest of the table is not looked at. It goes on across changes: what is put or deleted
        meanwhile may be seen or not, each other row is seen once.
        """

    def with_value(
        self, table: Table[R], index: str, value: str, after: str | None = None
    ) -> Iterator[tuple[str, R]]:
        """The rows that have this value in one of the table's `indexes`, in the order of keys."""

    def in_order(
        self, table: Table[R], index: str, after: tuple[str, str] | None = None
    ) -> Iterator[tuple[str, R]]:
        """All rows by their values in one of the table's `indexes`, then by key.

        `after` is a value and a key, from behind which it begins.
        """

    def weight(self, name: str) -> int:
        """The bytes that the rows of the table of this name count for. Raises KeyError."""

    def weights(self, name: str) -> Mapping[str, int]:
        """The same by group. Not to be kept across a change."""


_STAGED: Final = "restoring:"


def staged(name: str) -> str:
    """The name under which the copy of a table is held while a restore changes it."""
    return _STAGED + name


def unstaged(name: str) -> str:
    """The name of the table of which a table is the copy, or its own."""
    return name.removeprefix(_STAGED)


class Tables:
    """The rows of all tables. `changes` are those made since it was last cleared, in order.

    After a restore `replaced` are those whose rows gave way to others as a whole.
    """

    def __init__(self, held: dict[str, TableRows[Any]]) -> None:
        self.held = held
        self.changes: list[Change] = []
        self.replaced: list[TableRows[Any]] | None = None

    def get(self, table: Table[R], key: str) -> R | None:
        """The record with this key, or None."""
        record: R | None = self.held[table.name].records.get(key)
        return record

    def rows(self, table: Table[R]) -> OrderedMap[R]:
        """All records of the table by key."""
        return self.held[table.name].records

    def scan(
        self, table: Table[R], prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.scan`."""
        return islice(self.held[table.name].records.scan(prefix, after), limit)

    def with_value(
        self, table: Table[R], index: str, value: str, after: str | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.with_value`."""
        return self.held[table.name].with_value(index, value, after)

    def in_order(
        self, table: Table[R], index: str, after: tuple[str, str] | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.in_order`."""
        return self.held[table.name].in_order(index, after)

    def weight(self, name: str) -> int:
        """See `Reader.weight`."""
        return self.held[name].weight

    def weights(self, name: str) -> Mapping[str, int]:
        """See `Reader.weights`."""
        return self.held[name].weights

    def put(self, table: Table[R], key: str, record: R, index: int) -> R:
        """Insert or replace a record by the command at `index`.

        The result is the record as it is kept, with its indexes.
        """
        done = self.held[table.name].put(key, record, index)
        assert done is not None, "nothing was demanded"
        known, stamped = done
        self.changes.append(Change(table.name, key, known, stamped, index))
        return stamped  # type: ignore[no-any-return]

    def put_single(self, table: Table[R], record: R, index: int, cas: int | None) -> bool:
        """Replace the only record of a table; with `cas` only if its modify index is just that.

        Whether it was written.
        """
        done = self.held[table.name].put(SINGLETON, record, index, cas)
        if done is None:
            return False
        known, stamped = done
        self.changes.append(Change(table.name, SINGLETON, known, stamped, index))
        return True

    def amend(self, table: Table[R], key: str, record: R) -> None:
        """Replace a record that is there by one that says the same in another form.

        Its indexes and the table's stay, no watch wakes, and there is no change record.
        """
        self.held[table.name].amend(key, record)

    def delete(self, table: Table[R], key: str, index: int) -> bool:
        """Remove a record by the command at `index`; False if there was none."""
        known = self.held[table.name].delete(key, index)
        if known is None:
            return False
        self.changes.append(Change(table.name, key, known, None, index))
        return True

    def index_of(self, name: str) -> int:
        """Index of the last command that changed the table. Raises KeyError for no table."""
        return self.held[name].index

    @property
    def size(self) -> int:
        """Bytes of the encoded rows of all tables."""
        self.settle()
        return sum(rows.size for rows in self.held.values())

    def settle(self) -> None:
        """Bring what each table keeps beside its rows up to date."""
        for rows in self.held.values():
            rows.settle()

    def image(self) -> Tables:
        """The tables as they are now; what changes here afterwards does not change there."""
        return Tables({name: rows.image() for name, rows in self.held.items()})

    def drain(self) -> Generator[None, None, None]:
        """Free the memory a step at a time; the tables are of no use from the first step on."""
        for rows in self.held.values():
            yield from rows.drain()
