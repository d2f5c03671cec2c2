"""The restore of an archive: each table of the state is replaced, kept or merged.

This is the restore that an operator asks for. The snapshot that a leader sends to a follower is
another thing: it replaces everything.

Invariants: no index falls. A row that the restore changes has the index of the restore, a row that
it leaves as it is keeps its own; so compare-and-set and blocking queries go on being right for
clients that have seen the state before it. What is kept comes from the cluster that is restored
into, its level too, whatever the archive holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from quorate.errors import QuorateError
from quorate.levels import describe
from quorate.state.engine.record import Record
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore.commands import RestoreRows
from quorate.state.engine.rows import TableRows, encode_row
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.table import OnRestore, Table, Tables

PIECE_BYTES: Final = 128 << 10
PIECE_ROWS: Final = 512
"""Of one command: applying it takes a few milliseconds of the loop."""


class TableChange(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a restore on one table, in numbers of rows."""

    table: str
    on_restore: OnRestore
    rule: str = ""
    added: int = 0
    changed: int = 0
    deleted: int = 0
    same: int = 0

    @property
    def any(self) -> bool:
        """Whether it changes anything."""
        return bool(self.added or self.changed or self.deleted)


class Restored(msgspec.Struct, frozen=True):
    """The state after the restore, and what it changes, by table in the order of names."""

    image: SnapshotImage
    changes: tuple[TableChange, ...]


def restored(
    live: SnapshotImage,
    archive: SnapshotImage,
    index: int,
    registry: Registry,
    keep: Collection[str] = (),
) -> Restored:
    """The state of `live` after a restore of `archive` by the log entry at `index`.

    Works on images alone, for seconds if they are large: any thread. `index` is above all that
    either of them holds. The tables named in `keep` stay as they are, whatever their rule is.
    Raises QuorateError if the archive is of a level that the cluster does not have.
    """
    assert index > max(live.index, archive.index), f"{index} may have been given"
    if archive.level > live.level:
        raise QuorateError(
            f"cannot restore the archive: its cluster was of feature {describe(archive.level)}, "
            f"and this one is of level {live.level}",
            "upgrade all servers of this cluster first: quorate operator upgrade check",
        )
    held, changes = {}, []
    for table in sorted(registry.tables, key=lambda table: table.name):
        if table.name in keep:
            held[table.name], change = _kept(table, live.tables)
        else:
            held[table.name], change = _table(table, live.tables, archive.tables, index)
        changes.append(change)
    return Restored(SnapshotImage(index, Tables(held), live.unknown), tuple(changes))


def _kept(table: Table[Any], live: Tables) -> tuple[TableRows[Any], TableChange]:
    ours = live.held[table.name]
    change = TableChange(table=table.name, on_restore=OnRestore.KEPT, same=len(ours.records))
    return ours.image(), change


def _table(
    table: Table[Any], live: Tables, archive: Tables, index: int
) -> tuple[TableRows[Any], TableChange]:
    if table.on_restore is OnRestore.KEPT:
        return _kept(table, live)
    ours = live.held[table.name]
    wanted = _wanted(table, live, archive)
    added = changed = same = 0

    def restored() -> Iterator[tuple[str, Record]]:
        nonlocal added, changed, same
        for key, row in wanted:
            known = ours.records.get(key)
            if known is None:
                added += 1
                record = replace(row, modify_index=index)
            elif _content(known) == _content(row):
                same += 1
                record = known
            else:
                changed += 1
                record = replace(row, create_index=known.create_index, modify_index=index)
            yield key, record

    rows = table.built(ours.index, restored())
    deleted = len(ours.records) - changed - same
    if added or changed or deleted:
        rows.index = index
    return rows, TableChange(
        table=table.name,
        on_restore=table.on_restore,
        rule=table.restored,
        added=added,
        changed=changed,
        deleted=deleted,
        same=same,
    )


def _wanted(table: Table[Any], live: Tables, archive: Tables) -> Iterable[tuple[str, Record]]:
    """The rows after the restore, in the order of keys, before they get their indexes."""
    ours, theirs = live.held[table.name].records, archive.held[table.name].records
    if table.on_restore is OnRestore.REPLACED:
        return theirs.items()
    if table.merge_all is not None:
        return sorted(table.merge_all(live, archive).items())
    assert table.merge is not None
    return sorted(table.merge(ours, theirs).items())


def _content(record: Record) -> Record:
    return replace(record, create_index=0, modify_index=0)


def pieces_of(
    live: SnapshotImage,
    found: Restored,
    restore_id: str,
    size_max: int = PIECE_BYTES,
    rows_max: int = PIECE_ROWS,
) -> Iterator[RestoreRows]:
    """What makes of the tables of `live` those of `found`, as commands in their order.

    None is much longer than `size_max`, or than one row.
    """
    number = 0
    for change in found.changes:
        if change.any:
            name = change.table
            before, after = live.tables.held[name], found.image.tables.held[name]
            for rows, gone in _differences(before, after, size_max, rows_max):
                yield RestoreRows(id=restore_id, number=number, table=name, rows=rows, gone=gone)
                number += 1


def _differences(
    before: TableRows[Any], after: TableRows[Any], size_max: int, rows_max: int
) -> Iterator[tuple[tuple[bytes, ...], tuple[str, ...]]]:
    """Rows as stored, and keys that go, in pieces of bounded size."""
    rows: list[bytes] = []
    gone: list[str] = []
    size = 0
    known = before.records
    for key, record in after.records.items():
        if known.get(key) is record:
            continue
        data = encode_row((key, record))
        if rows and (size + len(data) > size_max or len(rows) >= rows_max):
            yield tuple(rows), ()
            rows, size = [], 0
        rows.append(data)
        size += len(data)
    for key in known:
        if key in after.records:
            continue
        if size + len(key) > size_max or len(rows) + len(gone) >= rows_max:
            yield tuple(rows), tuple(gone)
            rows, gone, size = [], [], 0
        gone.append(key)
        size += len(key)
    if rows or gone:
        yield tuple(rows), tuple(gone)
