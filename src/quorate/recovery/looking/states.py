"""The state that a data folder comes to: its newest snapshot, and the log behind it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from quorate.archive.contents import rows
from quorate.errors import LogDamaged, QuorateError
from quorate.given_files import opened
from quorate.nomad.state import records
from quorate.raft.values.messages import EntryKind
from quorate.recovery.looking.entries import plain
from quorate.recovery.looking.folders import DataDir, find, log_of
from quorate.recovery.looking.inspect import nomad_meta
from quorate.recovery.looking.summary import Kind
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.registry import TODAY
from quorate.storage.snapshots.meta import STATE_FILE
from quorate.storage.snapshots.reading import checked_meta, names_in


class StateRow(msgspec.Struct, frozen=True):
    """One record of the state. `key` is empty for those of a Nomad server."""

    type: str
    key: str
    value: Any


class StateShown:
    """`rows` are the records, `index` the last entry in them; `notes` are complete at the end.

    `problems` is what is damaged.
    """

    def __init__(
        self, index: int, rows: Iterator[StateRow], notes: list[str], problems: list[str]
    ) -> None:
        self.index = index
        self.rows = rows
        self.notes = notes
        self.problems = problems


def state_of(path: Path, last_index: int = 0) -> StateShown:
    """The state in the data folder at `path`, up to the entry `last_index`.

    Zero, or below it: so many entries before the end of the log. Of a real Nomad server the newest
    snapshot is shown: what its commands do is not known here. Raises QuorateError.
    """
    folder = find(path)
    if folder.kind is Kind.NOMAD:
        return _nomad(folder)
    return _ours(folder, last_index)


def _newest(folder: DataDir, most: int | None = None) -> Path | None:
    """The newest sound snapshot, of index `most` at most. Raises LogDamaged if none is sound."""
    damage: LogDamaged | None = None
    for name in names_in(folder.snapshots) if folder.snapshots.is_dir() else []:
        place = folder.snapshots / name
        try:
            meta = nomad_meta(place) if folder.kind is Kind.NOMAD else checked_meta(place)
        except LogDamaged as error:
            damage = damage or error
            continue
        if most is None or meta.index <= most:
            return place
    if damage is not None:
        raise damage
    return None


def _nomad(folder: DataDir) -> StateShown:
    place = _newest(folder)
    if place is None:
        raise QuorateError(
            f"{folder.root} holds no snapshot, and what Nomad's commands do is not known here",
            "`quorate operator raft logs` shows the commands",
        )
    meta = nomad_meta(place)
    note = (
        f"this is the newest snapshot, at index {meta.index}; later entries of the log are not in "
        "it: what Nomad's commands do is not known here"
    )

    def found() -> Iterator[StateRow]:
        with opened(place / STATE_FILE) as file:
            for record in records(file.read, values_of=None):
                yield StateRow(record.type, "", record.value)

    return StateShown(meta.index, found(), [note], [])


def _ours(folder: DataDir, last_index: int) -> StateShown:
    store, notes, problems = StateStore(TODAY), [], []
    with log_of(folder) as log:
        last = log.extent.last_index
        end = last_index if last_index > 0 else last + last_index
        if last_index and not log.extent.base_index <= end <= last:
            raise QuorateError(
                f"the log holds the entries {log.extent.base_index + 1} to {last}, and the state "
                f"was asked for at {end}",
                "give an index in that range",
            )
        place = _newest(folder, end if last_index or log.has_records else None)
        if place is not None:
            with opened(place / STATE_FILE) as file:
                store.restore(decode_snapshot(file.read, TODAY))
        if store.applied_index < log.extent.base_index:
            raise QuorateError(
                f"entries {store.applied_index + 1} to {log.extent.base_index} are neither in the "
                "log nor in a snapshot up to that index",
                "give a later index, or look at another server",
            )
        for entry in log.entries(store.applied_index + 1, end + 1):
            if entry.kind == EntryKind.COMMAND:
                try:
                    store.apply(entry.index, entry.data)
                except Held as error:
                    raise QuorateError(str(error)) from error
        if log.damage is not None:
            problems.append(log.damage.text)
    notes.append(
        "whether the last entries are committed is not in the folder: give -last-index to leave "
        "them out"
    )

    def found() -> Iterator[StateRow]:
        with tempfile.TemporaryFile() as file:
            store.snapshot()(file.write)
            file.seek(0)
            for row in rows(file.read):
                yield StateRow(row.table, row.key, plain(row.fields))

    return StateShown(max(end, store.applied_index), found(), notes, problems)
