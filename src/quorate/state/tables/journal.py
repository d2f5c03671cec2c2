"""The journal of the cluster: elections, membership, levels, settings, acts of operators.

It is replicated, so every server tells the same story, and it survives leaders and snapshots. Times
are those of the leader that wrote. It is bounded by number and size; the oldest records go. Each
lane has bounds of its own, so that a program which writes settings in a loop pushes out neither
elections nor what operators did. Keys are lane and number, zero-padded: in their order is time.

Elections, levels and membership are told by comparison: `JournalState` is what was told last, and a
leader writes what differs from it (`quorate.autopilot.deciders.telling`). So nothing is told twice,
and what a leader could not tell any more its successor does. Settings and acts are told in the
entry that carries them out: `Noted` wraps a command, and applying it writes what it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from quorate.state.engine.changes import Change
from quorate.state.engine.table import (
    SINGLETON,
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
    Wrapper,
)

JOURNAL_LEVEL: Final = 2
"""The feature level from which on the journal is kept."""

TEXT_MAX: Final = 120
"""Characters of one text. Longer ones are cut: they come from callers, and are for people."""

DETAILS_MAX: Final = 12

ELECTION: Final = "election"
MEMBERSHIP: Final = "membership"
LEVEL: Final = "level"
SETTING: Final = "setting"
ACT: Final = "act"
RESTORE: Final = "restore"

OPERATOR: Final = "operator"
"""The operator, where a caller of the API acted: it has no name of its own as yet."""

RECORDS_MAX: Final = 4096
BYTES_MAX: Final = 1 << 20
"""Of all lanes: months of a quiet cluster, and little beside what a snapshot carries anyhow."""

_LANES: Final = ("act", "cluster", "setting")  # as in JournalState.lanes
_SHARES: Final = (4, 2, 4)  # each lane may have this part of the bounds
_LANE_OF: Final = {ACT: 0, RESTORE: 0, ELECTION: 1, MEMBERSHIP: 1, LEVEL: 1, SETTING: 2}
_OTHER_LANE: Final = 1

_RECORD_BYTES: Final = 64  # what a record takes besides its texts

Details: TypeAlias = tuple[tuple[str, str], ...]
Members: TypeAlias = tuple[tuple[str, str, bool], ...]
"""Server ID, address, and whether it votes; in order of the IDs."""


class Note(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One event to tell. `subject` is the ID of a server, or the name of a table.

    `cause` says why, `force` that a guard was passed over by will.
    """

    kind: str
    what: str
    subject: str = ""
    cause: str = ""
    force: bool = False
    details: Details = ()


class JournalRecord(Record, frozen=True, kw_only=True):
    """One event. `time_ms` is Unix time in milliseconds; the indexes are those of its entry.

    `by` is the ID of the server that wrote it by itself, or `OPERATOR`.
    """

    kind: str
    what: str
    time_ms: int
    by: str = ""
    subject: str = ""
    cause: str = ""
    force: bool = False
    details: Details = ()


class Told(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Up to where the story is told: level, newest term and its leader, members at which index."""

    level: int = 0
    term: int = 0
    leader: str = ""
    configuration_index: int = 0
    members: Members = ()

    @property
    def place(self) -> tuple[int, int, int]:
        """It only rises; two with the same place are the same."""
        return (self.level, self.term, self.configuration_index)


class Lane(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The numbers of a lane's oldest record and of its next one, and the size of all in it."""

    first: int = 0
    next: int = 0
    size: int = 0


class JournalState(Record, frozen=True, kw_only=True):
    """The last that was told, and the lanes: acts, cluster, settings."""

    told: Told = Told()
    lanes: tuple[Lane, Lane, Lane] = (Lane(), Lane(), Lane())


class WriteJournal(Command, frozen=True, kw_only=True):
    """Tell these. Result: whether they were told.

    With `told` only if the story is told up to `since`; otherwise another leader, or an earlier
    try, came first.
    """

    TYPE: ClassVar[int] = 9
    LEVEL: ClassVar[int] = JOURNAL_LEVEL

    time_ms: int
    by: str = ""
    notes: tuple[Note, ...] = ()
    told: Told | None = None
    since: tuple[int, int, int] = (0, 0, 0)

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        if self.told is not None and told(tables).place != self.since:
            return False
        records = (_record(note, self.time_ms, self.by) for note in self.notes)
        _append(tables, index, records, self.told)
        return True


class Noted(Wrapper, frozen=True, kw_only=True):
    """`command`, encoded, and what is told of it if it changes anything. Result: the command's.

    The leader has put the note into words. Every server writes the same, whatever its own state
    was: a server whose state is damaged, and mended by this command, has no trace of it here.
    """

    TYPE: ClassVar[int] = 10
    LEVEL: ClassVar[int] = JOURNAL_LEVEL

    note: Note
    time_ms: int
    by: str = ""

    def carry_out(self, command: Command, tables: Tables, index: int) -> Any:
        """See the class."""
        before = len(tables.changes)
        result = command.apply(tables, index)
        if len(tables.changes) > before:
            _append(tables, index, [_record(self.note, self.time_ms, self.by)], None)
        return result


def subject_of(change: Change) -> str:
    """The subject of a change: its key, or the table of a single record."""
    return change.table if change.key == SINGLETON else change.key


def differences(change: Change) -> Details:
    """The fields that have other values than before, or than where nothing was.

    Values of records whose commands are told can be read by every reader of the journal.
    """
    shown = change.new if change.new is not None else change.old
    assert shown is not None
    found = []
    for name in shown.__struct_fields__:
        old, new = (getattr(each, name, None) for each in (change.old, change.new))
        if old != new and not name.endswith("_index"):
            both = f"{_text(old)} -> {_text(new)}"
            found.append((name, _text(new) if change.old is None else both))
    return tuple(found)


def _text(value: object) -> str:
    if value is None:
        return "(gone)"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _record(note: Note, time_ms: int, by: str) -> JournalRecord:
    details = tuple((_cut(name), _cut(text)) for name, text in note.details[:DETAILS_MAX])
    return JournalRecord(
        kind=_cut(note.kind),
        what=_cut(note.what),
        time_ms=time_ms,
        by=_cut(by),
        subject=_cut(note.subject),
        cause=_cut(note.cause),
        force=note.force,
        details=details,
    )


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."


def _append(
    tables: Tables, index: int, records: Iterable[JournalRecord], now_told: Told | None
) -> None:
    before = state(tables)
    lanes = list(before.lanes)
    for record in records:
        which = _LANE_OF.get(record.kind, _OTHER_LANE)
        lane = lanes[which]
        tables.put(TABLE, _key(which, lane.next), record, index)
        longer = Lane(lane.first, lane.next + 1, lane.size + _size(record))
        lanes[which] = _bounded(tables, which, longer, index)
    after = JournalState(
        told=before.told if now_told is None else now_told, lanes=(lanes[0], lanes[1], lanes[2])
    )
    tables.put(STATE, SINGLETON, after, index)


def _bounded(tables: Tables, which: int, lane: Lane, index: int) -> Lane:
    """The lane without the oldest records that it has no room for."""
    first, size = lane.first, lane.size
    most, most_bytes = RECORDS_MAX // _SHARES[which], BYTES_MAX // _SHARES[which]
    while lane.next - first > most or size > most_bytes:
        size -= _size(_at(tables, which, first))
        tables.delete(TABLE, _key(which, first), index)
        first += 1
    return Lane(first, lane.next, size)


def _at(reader: Reader, which: int, number: int) -> JournalRecord:
    record = reader.get(TABLE, _key(which, number))
    assert record is not None, "the records from a lane's oldest to its next are there"
    return record


def _key(which: int, number: int) -> str:
    return f"{_LANES[which]}/{number:016d}"


def _size(record: JournalRecord) -> int:
    texts = (record.kind, record.what, record.by, record.subject, record.cause)
    details = (text for pair in record.details for text in pair)
    return _RECORD_BYTES + sum(len(text.encode()) for text in (*texts, *details))


TABLE: Final = Table(
    name="journal",
    record=JournalRecord,
    on_restore=OnRestore.KEPT,
    commands=(WriteJournal, Noted),
    level=JOURNAL_LEVEL,
)

STATE: Final = Table(
    name="journal_state", record=JournalState, on_restore=OnRestore.KEPT, level=JOURNAL_LEVEL
)


def state(reader: Reader) -> JournalState:
    """The last that was told, and the bounds of the records."""
    return reader.get(STATE, SINGLETON) or JournalState()


def told(reader: Reader) -> Told:
    """Up to where the story is told."""
    return state(reader).told


def newest_first(reader: Reader) -> Iterator[JournalRecord]:
    """All records, the newest first. Not to be kept across a change."""
    lanes = [_newest_of(reader, which, lane) for which, lane in enumerate(state(reader).lanes)]
    return merge(*lanes, key=lambda record: record.create_index, reverse=True)


def _newest_of(reader: Reader, which: int, lane: Lane) -> Iterator[JournalRecord]:
    return (_at(reader, which, number) for number in range(lane.next - 1, lane.first - 1, -1))
