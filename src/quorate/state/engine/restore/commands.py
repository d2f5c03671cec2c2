"""The commands of a restore: differences in pieces, and one entry that makes them count.

`BeginRestore` makes a copy of each table that may change, which shares its rows. `RestoreRows`
change the copies, so no command is long. `CommitRestore` puts the copies in place, or nothing if a
table is not what it was at the beginning. So the log orders a restore among all other writes, every
server does the same, and a leader that is lost midway has changed nothing that is read.

The copies are tables themselves while they last (`staged`): snapshots and digests have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from quorate.state.engine.record import Record
from quorate.state.engine.restore import shift
from quorate.state.engine.restore.shift import RESTORE_LEVEL, IndexShift
from quorate.state.engine.table import (
    SINGLETON,
    Bound,
    Command,
    OnRestore,
    Reader,
    Table,
    Tables,
    staged,
)

INDEX_MAX: Final = 1 << 62


class Restoring(Record, frozen=True, kw_only=True):
    """A restore under way.

    `index` is the one that the state has after it; `since` the tables that it may change, with
    their indexes; `pieces` how many have come.
    """

    id: str
    index: int
    since: tuple[tuple[str, int], ...]
    pieces: int = 0


class BeginRestore(Command, frozen=True, kw_only=True):
    """Begin, and give up one that is under way. Result: whether `index` is above all that is."""

    TYPE: ClassVar[int] = 48
    LEVEL: ClassVar[int] = RESTORE_LEVEL

    id: str
    index: int
    tables: tuple[str, ...]

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        if not index < self.index <= INDEX_MAX:
            return False
        _give_up(tables, index)
        names = [name for name in self.tables if name in tables.held]
        since = tuple((name, tables.held[name].index) for name in names)
        for name in names:
            tables.held[staged(name)] = tables.held[name].image()
        tables.put(TABLE, SINGLETON, Restoring(id=self.id, index=self.index, since=since), index)
        return True


class RestoreRows(Bound, frozen=True, kw_only=True):
    """Piece `number` of restore `id`: rows of `table` as stored, and the keys of those that go.

    Result: whether it was the next piece of the restore that is under way.
    """

    TYPE: ClassVar[int] = 49
    LEVEL: ClassVar[int] = RESTORE_LEVEL

    id: str
    number: int
    table: str
    rows: tuple[bytes, ...] = ()
    gone: tuple[str, ...] = ()

    def bind(self, records: dict[str, Table[Any]]) -> Command:
        """Raises ValueError for rows that this version cannot read."""
        table = records.get(self.table)
        if table is None:
            raise ValueError(f"it has rows of a table {self.table!r}")
        decode = msgspec.msgpack.Decoder(tuple[str, table.record]).decode  # type: ignore[name-defined]
        return _Rows(piece=self, read=tuple(decode(row) for row in self.rows))


class _Rows(Command, frozen=True, kw_only=True):
    """A piece whose rows were read."""

    TYPE: ClassVar[int] = RestoreRows.TYPE

    piece: RestoreRows
    read: Sequence[tuple[str, Any]]

    def apply(self, tables: Tables, index: int) -> bool:
        """See `RestoreRows`."""
        piece, known = self.piece, current(tables)
        copy = tables.held.get(staged(piece.table))
        if known is None or copy is None or (known.id, known.pieces) != (piece.id, piece.number):
            return False
        for key, record in self.read:
            copy.load(key, record)
        for key in piece.gone:
            copy.unload(key)
        after = msgspec.structs.replace(known, pieces=piece.number + 1)
        tables.put(TABLE, SINGLETON, after, index)
        return True


class CommitRestore(Command, frozen=True, kw_only=True):
    """Put the copies of `tables` in place, if all `pieces` are in them and nothing came between.

    Result: the index that the state has now; 0 if nothing was changed, and the restore is over.
    """

    TYPE: ClassVar[int] = 50
    LEVEL: ClassVar[int] = RESTORE_LEVEL

    id: str
    pieces: int
    tables: tuple[str, ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        known = current(tables)
        if known is None or known.id != self.id:
            return 0
        held = tables.held
        names = {name for name, _ in known.since}
        same = all(held[name].index == before for name, before in known.since)
        whole = known.pieces == self.pieces and names.issuperset(self.tables)
        if not (same and whole and known.index > index):
            _give_up(tables, index)
            return 0
        tables.replaced = []
        for name in self.tables:
            copy = held[staged(name)]
            copy.index = known.index
            tables.replaced.append(held[name])
            held[name] = copy
            held[staged(name)] = copy.empty()
        _give_up(tables, known.index)
        moved = shift.current(tables) + known.index - index
        tables.put(shift.TABLE, SINGLETON, IndexShift(shift=moved), known.index)
        return known.index


class DropRestore(Command, frozen=True, kw_only=True):
    """Give up restore `id`. Result: whether it was under way."""

    TYPE: ClassVar[int] = 51
    LEVEL: ClassVar[int] = RESTORE_LEVEL

    id: str

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        known = current(tables)
        if known is None or known.id != self.id:
            return False
        _give_up(tables, index)
        return True


def _give_up(tables: Tables, index: int) -> None:
    known = current(tables)
    if known is None:
        return
    for name, _ in known.since:
        tables.held.pop(staged(name), None)
    tables.delete(TABLE, SINGLETON, index)


TABLE: Final = Table(
    name="restoring",
    record=Restoring,
    on_restore=OnRestore.KEPT,
    commands=(BeginRestore, RestoreRows, CommitRestore, DropRestore),
    level=RESTORE_LEVEL,
)


def current(reader: Reader) -> Restoring | None:
    """The restore that is under way."""
    return reader.get(TABLE, SINGLETON)
