"""The journal of the cluster: elections, membership, levels, settings, acts of operators.

It is replicated, so every server tells the same story, and it survives leaders and snapshots. Times
are those of the leader that wrote. It is bounded by number and size; the oldest records go. Each
lane has bounds of its own, so that a program which writes settings in a loop pushes out neither
elections nor what operators did. Keys are lane and number, zero-padded: in their order is time.

Elections, levels and membership are told by comparison: `JournalState` is what was told last, and a
leader writes what differs from it (`quorate.autopilot.deciders.telling`). So nothing is told twice,
and what a leader could not tell any more its successor does. Settings and acts are told in the
entry that carries them out: `Noted` wraps a command, and applying it writes what it changed.

From feature level 4 on each lane is a chain of hashes (`quorate.audit.chain`), and acts say who did
them (`Audited`). A lane keeps the hash of the record before its oldest one, so the chain can be
checked whatever retention took away. What a server has noted in its local file, because there was
no leader or no space, `EnterRecords` enters, each record once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from quorate.audit.chain import LaneHead, Link, head_of, link_hash, linked
from quorate.state.engine import level as cluster_level
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

AUDIT_LEVEL: Final = 4
"""The feature level from which on records are chained and say who acted."""

TEXT_MAX: Final = 120
"""Characters of one text. Longer ones are cut: they come from callers, and are for people."""

DETAILS_MAX: Final = 12

ELECTION: Final = "election"
MEMBERSHIP: Final = "membership"
LEVEL: Final = "level"
SETTING: Final = "setting"
ACT: Final = "act"
RESTORE: Final = "restore"
REFUSAL: Final = "refusal"

OPERATOR: Final = "operator"
"""Where a caller of the API acted: who it was stands beside it."""

RECORDS_MAX: Final = 4096
BYTES_MAX: Final = 1 << 20
"""Of all lanes: months of a quiet cluster, and little beside what a snapshot carries anyhow.

Refusals have an eighth of it on top.
"""

ENTRIES_MAX: Final = 64
"""Records that one `EnterRecords` holds."""

SERIES_MAX: Final = 64
"""Of local files, the newest: up to where each was entered. A server asks within seconds."""

DONE: Final = "done"
UNCHANGED: Final = "no change"

LANES: Final = ("act", "cluster", "setting", "refusal")  # as in JournalState.lanes
_SHARES: Final = (4, 2, 4, 8)  # each lane may have this part of the bounds
_MEMBERS: Final = dict.fromkeys((ELECTION, MEMBERSHIP, LEVEL), 1)
_LANE_OF: Final = {ACT: 0, RESTORE: 0, SETTING: 2, REFUSAL: 3} | _MEMBERS
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


class Who(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The caller that acted: accessor and name of its token, and the address that it called from.

    The accessor is empty where no access control was on.
    """

    accessor: str = ""
    name: str = ""
    address: str = ""


NOBODY: Final = Who()


class JournalRecord(Record, frozen=True, kw_only=True):
    """One event. `time_ms` is Unix time in milliseconds; the indexes are those of its entry.

    `by` is the ID of the server that wrote it by itself, or `OPERATOR`. The fields behind `details`
    are of level 4: who acted, what came of it, the record of a local file that it was taken from,
    how often it happened, and its hash.
    """

    kind: str
    what: str
    time_ms: int
    by: str = ""
    subject: str = ""
    cause: str = ""
    force: bool = False
    details: Details = ()
    accessor: str = ""
    name: str = ""
    address: str = ""
    outcome: str = ""
    source: str = ""
    count: int = 1
    hash: bytes = b""


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
    """The numbers of a lane's oldest record and of its next one, and the size of all in it.

    `since` is the number of the first record that was chained, None before there is one. `base` is
    the hash before the oldest chained record that is kept, `head` that of the newest one.
    """

    first: int = 0
    next: int = 0
    size: int = 0
    since: int | None = None
    base: bytes = b""
    head: bytes = b""


class JournalState(Record, frozen=True, kw_only=True):
    """The last that was told, and the lanes: acts, cluster, settings, and refusals from level 4 on.

    `entered` says up to which number the records of local files were entered, by series.
    """

    told: Told = Told()
    lanes: tuple[Lane, ...] = (Lane(), Lane(), Lane())
    entered: tuple[tuple[str, int], ...] = ()


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


class Audited(Wrapper, frozen=True, kw_only=True):
    """`command`, encoded, and the audit record of the act. Result: the command's.

    It is told whether or not the command changes anything; the outcome says which.
    """

    TYPE: ClassVar[int] = 11
    LEVEL: ClassVar[int] = AUDIT_LEVEL

    note: Note
    time_ms: int
    who: Who = NOBODY

    def carry_out(self, command: Command, tables: Tables, index: int) -> Any:
        """See the class."""
        before = len(tables.changes)
        result = command.apply(tables, index)
        outcome = DONE if len(tables.changes) > before else UNCHANGED
        record = _record(self.note, self.time_ms, OPERATOR, self.who, outcome)
        _append(tables, index, [record], None)
        return result


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An audit record without a command. `by` is the server that noted it, or empty.

    `series` and `number` are its place in a local file; without a series it is of none.
    """

    note: Note
    time_ms: int
    who: Who = NOBODY
    by: str = ""
    outcome: str = ""
    series: str = ""
    number: int = 0
    count: int = 1


class EnterRecords(Command, frozen=True, kw_only=True):
    """Enter these. Result: how many were entered.

    Of a series only those count whose number is above the last one entered of it: a record that is
    sent again, because its server ended before it knew, is entered once.
    """

    TYPE: ClassVar[int] = 12
    LEVEL: ClassVar[int] = AUDIT_LEVEL

    entries: tuple[Entry, ...] = ()

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        known = dict(state(tables).entered)
        records = []
        for entry in self.entries[:ENTRIES_MAX]:
            if entry.series:
                if entry.number <= known.get(entry.series, -1):
                    continue
                known.pop(entry.series, None)  # the newest stand last
                known[entry.series] = entry.number
            record = _record(entry.note, entry.time_ms, entry.by, entry.who, entry.outcome)
            source = f"{entry.series}/{entry.number}" if entry.series else ""
            records.append(
                msgspec.structs.replace(record, source=_cut(source), count=max(entry.count, 1))
            )
        if records:
            _append(tables, index, records, None, tuple(known.items())[-SERIES_MAX:])
        return len(records)


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


def _record(
    note: Note, time_ms: int, by: str, who: Who = NOBODY, outcome: str = ""
) -> JournalRecord:
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
        accessor=_cut(who.accessor),
        name=_cut(who.name),
        address=_cut(who.address),
        outcome=_cut(outcome),
    )


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."


def _append(
    tables: Tables,
    index: int,
    records: Iterable[JournalRecord],
    now_told: Told | None,
    entered: tuple[tuple[str, int], ...] | None = None,
) -> None:
    before = state(tables)
    lanes = list(before.lanes)
    chained = cluster_level.current(tables) >= AUDIT_LEVEL
    if chained:
        lanes += [Lane()] * (len(LANES) - len(lanes))
    for told_now in records:
        which = _LANE_OF.get(told_now.kind, _OTHER_LANE)
        if which >= len(lanes):
            which = _OTHER_LANE
        lane, record = lanes[which], told_now
        since, base, head = lane.since, lane.base, lane.head
        if chained:
            since = lane.next if since is None else since
            head = link_hash(head, _link(which, lane.next, record, index))
            record = msgspec.structs.replace(record, hash=head)
        tables.put(TABLE, _key(which, lane.next), record, index)
        longer = Lane(lane.first, lane.next + 1, lane.size + _size(record), since, base, head)
        lanes[which] = _bounded(tables, which, longer, index)
    after = JournalState(
        told=before.told if now_told is None else now_told,
        lanes=tuple(lanes),
        entered=before.entered if entered is None else entered,
    )
    tables.put(STATE, SINGLETON, after, index)


def _bounded(tables: Tables, which: int, lane: Lane, index: int) -> Lane:
    """The lane without the oldest records that it has no room for."""
    first, size, base = lane.first, lane.size, lane.base
    most, most_bytes = RECORDS_MAX // _SHARES[which], BYTES_MAX // _SHARES[which]
    while lane.next - first > most or size > most_bytes:
        gone = _at(tables, which, first)
        size -= _size(gone)
        base = gone.hash or base
        tables.delete(TABLE, _key(which, first), index)
        first += 1
    return Lane(first, lane.next, size, lane.since, base, lane.head)


def _at(reader: Reader, which: int, number: int) -> JournalRecord:
    record = reader.get(TABLE, _key(which, number))
    assert record is not None, "the records from a lane's oldest to its next are there"
    return record


def _key(which: int, number: int) -> str:
    return f"{LANES[which]}/{number:016d}"


def _size(record: JournalRecord) -> int:
    texts = (record.kind, record.what, record.by, record.subject, record.cause)
    who = (record.accessor, record.name, record.address, record.outcome, record.source)
    details = (text for pair in record.details for text in pair)
    bytes_of_texts = sum(len(text.encode()) for text in (*texts, *who, *details))
    return _RECORD_BYTES + bytes_of_texts + len(record.hash)


def _link(which: int, number: int, record: JournalRecord, index: int) -> Link:
    return linked(
        record,
        lane=LANES[which],
        number=number,
        index=index,
        time_ms=record.time_ms,
        kind=record.kind,
        count=record.count,
        source=record.source,
    )


TABLE: Final = Table(
    name="journal",
    record=JournalRecord,
    on_restore=OnRestore.KEPT,
    commands=(WriteJournal, Noted, Audited, EnterRecords),
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


def heads(reader: Reader) -> list[LaneHead]:
    """The ends of all lanes, in their order."""
    return [
        LaneHead(lane=name, next=lane.next, head=lane.head)
        for name, lane in zip(LANES, state(reader).lanes, strict=False)
    ]


def head(reader: Reader) -> bytes:
    """The head of the journal's chains; empty before there is one."""
    found = heads(reader)
    return head_of(found) if any(each.head for each in found) else b""


def links(reader: Reader, which: int, first: int) -> Iterator[tuple[Link, bytes]]:
    """The records of a lane from number `first` on with their hashes, oldest first.

    The hash is empty where a record was told below level 4. Not to be kept across a change.
    """
    lanes = state(reader).lanes
    if which < len(lanes):
        for number in range(max(first, lanes[which].first), lanes[which].next):
            record = _at(reader, which, number)
            yield _link(which, number, record, record.create_index), record.hash
