"""The journal of the cluster: elections, membership, levels, settings, acts of operators.

It is replicated, so every server tells the same story, and it survives leaders and snapshots. It is
bounded by number and size; the oldest records go. Records are numbered, and the number is the key,
zero-padded, so that the order of keys is that of time. Times are those of the leader that wrote.

Elections, levels and membership are told by comparison: `JournalState` is what was told last, and a
leader writes what differs from it (`quorate.autopilot.deciders.telling`). So nothing is told twice,
and what a leader could not tell any more its successor does. Settings and acts are told in the
entry that carries them out: `Noted` wraps a command, and applying it writes what it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from quorate.state.engine.changes import Change
from quorate.state.engine.table import SINGLETON, Command, Reader, Record, Table, Tables

JOURNAL_LEVEL: Final = 2
"""The feature level from which on the journal is kept."""

RECORDS_MAX: Final = 4096
BYTES_MAX: Final = 1 << 20
"""What a snapshot may carry for it; that is months of a quiet cluster."""

TEXT_MAX: Final = 120
"""Characters of one text. Longer ones are cut: they come from callers, and are for people."""

DETAILS_MAX: Final = 12

ELECTION: Final = "election"
MEMBERSHIP: Final = "membership"
LEVEL: Final = "level"
SETTING: Final = "setting"
ACT: Final = "act"

OPERATOR: Final = "operator"
"""The operator, where a caller of the API acted: it has no name of its own as yet."""

_RECORD_BYTES: Final = 64  # what a record takes besides its texts

Details: TypeAlias = tuple[tuple[str, str], ...]
Members: TypeAlias = tuple[tuple[str, str, bool], ...]
"""Server ID, address, and whether it votes; in order of the IDs."""


class Note(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What is to be told. `subject` is the ID of a server, or the name of a table.

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


class JournalState(Record, frozen=True, kw_only=True):
    """What was told last, the numbers of the oldest record and the next, and the size of all."""

    told: Told = Told()
    first: int = 0
    next: int = 0
    size: int = 0


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


class Noted(Command, frozen=True, kw_only=True):
    """`command`, encoded, and what is told of it if it changes anything. Result: the command's.

    The leader has put the note into words. Every server writes the same, whatever its own state
    was: a server whose state is damaged, and mended by this command, has no trace of it here. It
    is decoded together with the command (`quorate.state.engine.commands.Act`), and that is applied.
    """

    TYPE: ClassVar[int] = 10
    LEVEL: ClassVar[int] = JOURNAL_LEVEL

    command: bytes
    note: Note
    time_ms: int
    by: str = ""


def carry_out(noted: Noted, command: Command, tables: Tables, index: int) -> Any:
    """Apply the command that `noted` wraps, and tell of it if it changes anything; its result."""
    before = len(tables.changes)
    result = command.apply(tables, index)
    if len(tables.changes) > before:
        _append(tables, index, [_record(noted.note, noted.time_ms, noted.by)], None)
    return result


def subject_of(change: Change) -> str:
    """What a change is about: its key, or the table of a single record."""
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
    first, number, size = before.first, before.next, before.size
    for record in records:
        tables.put(TABLE, _key(number), record, index)
        number += 1
        size += _size(record)
    while number - first > RECORDS_MAX or size > BYTES_MAX:
        oldest = tables.get(TABLE, _key(first))
        assert oldest is not None, "the records between the oldest and the next are there"
        size -= _size(oldest)
        tables.delete(TABLE, _key(first), index)
        first += 1
    after = JournalState(
        told=before.told if now_told is None else now_told, first=first, next=number, size=size
    )
    tables.put(STATE, SINGLETON, after, index)


def _key(number: int) -> str:
    return f"{number:016d}"


def _size(record: JournalRecord) -> int:
    texts = (record.kind, record.what, record.by, record.subject, record.cause)
    details = (text for pair in record.details for text in pair)
    return _RECORD_BYTES + sum(len(text.encode()) for text in (*texts, *details))


TABLE: Final = Table(
    name="journal",
    record=JournalRecord,
    commands=(WriteJournal, Noted),
    level=JOURNAL_LEVEL,
)

STATE: Final = Table(name="journal_state", record=JournalState, level=JOURNAL_LEVEL)


def state(reader: Reader) -> JournalState:
    """What was told last, and the bounds of the records."""
    return reader.get(STATE, SINGLETON) or JournalState()


def told(reader: Reader) -> Told:
    """Up to where the story is told."""
    return state(reader).told


def newest_first(reader: Reader) -> Iterator[JournalRecord]:
    """All records, the newest first. Not to be kept across a change."""
    bounds = state(reader)
    for number in range(bounds.next - 1, bounds.first - 1, -1):
        record = reader.get(TABLE, _key(number))
        assert record is not None, "the records between the oldest and the next are there"
        yield record
