"""The journal: what is told, in which order, how much of it is kept, and that it is told once."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespace_commands import REGISTRY, DeleteNamespaces
from older_registry import registry_of_level

from quorate.state.engine.commands import UnknownCommand, decode, encode
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables import journal, namespaces, scheduler
from quorate.state.tables.checks import CheckState
from quorate.state.tables.journal import (
    ACT,
    BYTES_MAX,
    DETAILS_MAX,
    ELECTION,
    RECORDS_MAX,
    SETTING,
    TEXT_MAX,
    Details,
    JournalRecord,
    Note,
    Noted,
    Told,
    WriteJournal,
    differences,
    newest_first,
    subject_of,
)
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.state.tables.servers import RecordRemoval, RecordServer

SPREAD = SetSchedulerConfiguration(
    configuration=SchedulerConfiguration(scheduler_algorithm="spread")
)


NO_NOTE = Note(kind="", what="")


def store_after(*commands: Command) -> StateStore:
    store = StateStore(TODAY)
    for command in commands:
        apply(store, command)
    return store


def apply(store: StateStore, command: Command) -> Any:
    return store.apply(store.applied_index + 1, encode(command))


def wrapped(command: Command, what: str = "changed", time_ms: int = 1) -> Noted:
    note = Note(kind=SETTING, what=what, subject="x", force=True, details=(("a", "b"),))
    return Noted(command=encode(command), note=note, time_ms=time_ms, by="operator")


def notes(*whats: str) -> tuple[Note, ...]:
    return tuple(Note(kind=ELECTION, what=what) for what in whats)


def whats(store: StateStore) -> list[str]:
    return [record.what for record in newest_first(store)]


def test_records_are_read_newest_first_with_time_author_and_index() -> None:
    store = store_after(
        WriteJournal(time_ms=10, by="a", notes=notes("one", "two")),
        WriteJournal(time_ms=20, by="b", notes=notes("three")),
    )
    assert [
        (record.what, record.time_ms, record.by, record.create_index)
        for record in newest_first(store)
    ] == [("three", 20, "b", 2), ("two", 10, "a", 1), ("one", 10, "a", 1)]
    assert [*store.rows(journal.TABLE)] == [f"cluster/{number:016d}" for number in range(3)]


def test_an_empty_journal_has_nothing_to_read() -> None:
    assert whats(StateStore(TODAY)) == []


def test_what_is_told_by_comparison_is_told_once() -> None:
    first, second = Told(term=2, leader="a"), Told(term=3, leader="b")
    store = StateStore(TODAY)
    tell = WriteJournal(time_ms=1, notes=notes("2"), told=first, since=(0, 0, 0))
    assert apply(store, tell) is True
    assert apply(store, tell) is False  # tried again: the first try was written after all
    old = WriteJournal(time_ms=1, notes=notes("old"), told=second, since=(0, 0, 0))
    assert apply(store, old) is False
    again = WriteJournal(time_ms=1, notes=notes("3"), told=second, since=first.place)
    assert apply(store, again) is True
    assert whats(store) == ["3", "2"]
    assert journal.told(store) == second
    apply(store, WriteJournal(time_ms=1, notes=notes("act")))
    assert journal.told(store) == second


def test_a_command_is_told_in_its_own_entry_in_the_words_of_the_leader() -> None:
    store = store_after(wrapped(SPREAD, time_ms=77))
    assert [*newest_first(store)] == [
        JournalRecord(
            kind=SETTING,
            what="changed",
            time_ms=77,
            by="operator",
            subject="x",
            force=True,
            details=(("a", "b"),),
            create_index=1,
            modify_index=1,
        )
    ]
    found = scheduler.current(store)
    assert found is not None
    assert (found.scheduler_algorithm, found.modify_index) == ("spread", 1)


def test_the_result_is_that_of_the_command_and_what_changes_nothing_is_not_told() -> None:
    store = store_after(SPREAD)
    refused = SetSchedulerConfiguration(configuration=SchedulerConfiguration(), cas=99)
    assert apply(store, wrapped(refused)) is False
    assert apply(store, wrapped(CheckState())) == CheckState()
    assert whats(store) == []
    assert apply(store, wrapped(SPREAD)) is True
    assert whats(store) == ["changed"]


@pytest.mark.parametrize(
    ("command", "subject", "found"),
    [
        pytest.param(
            SetSchedulerConfiguration(
                configuration=SchedulerConfiguration(memory_oversubscription_enabled=True)
            ),
            "scheduler_configuration",
            (
                ("scheduler_algorithm", "spread -> binpack"),
                ("memory_oversubscription_enabled", "false -> true"),
            ),
            id="settings",
        ),
        pytest.param(SPREAD, "scheduler_configuration", (), id="the same settings"),
        pytest.param(
            RecordRemoval(server_id="s", name="n", address="a:1"),
            "s",
            (("removed", "false -> true"),),
            id="a server",
        ),
        pytest.param(
            RecordRemoval(server_id="t", name="n", address="a:1"),
            "t",
            (("name", "n"), ("address", "a:1"), ("removed", "true")),
            id="a new record",
        ),
    ],
)
def test_a_preview_says_what_a_command_would_change(
    command: Command, subject: str, found: Details
) -> None:
    store = store_after(SPREAD, RecordServer(server_id="s", name="n", address="a:1"))
    before = store.digest()
    (change,) = store.preview(command)
    assert (subject_of(change), differences(change)) == (subject, found)
    assert (store.digest(), store.applied_index) == (before, 2)


def test_a_preview_of_a_deletion_and_of_nothing() -> None:
    store = StateStore(REGISTRY)
    (change,) = store.preview(DeleteNamespaces(names=("default", "nosuch")))
    assert differences(change)[0] == ("name", "default -> (gone)")
    assert store.get(namespaces.TABLE, "default") is not None
    refused = SetSchedulerConfiguration(configuration=SchedulerConfiguration(), cas=99)
    assert store.preview(refused) == []


def test_texts_of_callers_are_cut() -> None:
    details = tuple((f"field {number}", "y" * 5000) for number in range(50))
    note = Note(kind="k" * 999, what="w" * 999, subject="s" * 999, cause="c", details=details)
    store = store_after(WriteJournal(time_ms=1, by="b" * 999, notes=(note,)))
    (record,) = newest_first(store)
    texts = (record.kind, record.what, record.by, record.subject, record.details[0][1])
    assert {len(text) for text in texts} == {TEXT_MAX}
    assert record.what.endswith("www...")
    assert len(record.details) == DETAILS_MAX


@pytest.mark.parametrize(("bound", "value"), [("RECORDS_MAX", 6), ("BYTES_MAX", 6 * (64 + 8 + 1))])
def test_the_oldest_records_go(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(journal, bound, value)
    store = StateStore(TODAY)
    for number in range(8):
        apply(store, WriteJournal(time_ms=1, notes=notes(str(number))))
    assert whats(store) == ["7", "6", "5"]
    assert len(store.rows(journal.TABLE)) == 3
    apply(store, WriteJournal(time_ms=1, notes=notes(*"abcde")))
    assert whats(store) == ["e", "d", "c"]


def test_each_lane_has_its_share_so_a_loop_of_settings_pushes_out_no_elections() -> None:
    store = store_after(
        WriteJournal(time_ms=1, notes=(Note(kind=ELECTION, what="e"), Note(kind=ACT, what="a")))
    )
    for number in range(RECORDS_MAX):
        apply(store, wrapped(SPREAD, f"s{number}"))
    found = whats(store)
    assert found[-2:] == ["a", "e"]
    assert found[:-2] == [f"s{RECORDS_MAX - 1 - n}" for n in range(RECORDS_MAX // 4)]
    indexes = [record.create_index for record in newest_first(store)]
    assert indexes == sorted(indexes, reverse=True)


def test_large_records_do_not_take_more_than_the_bound() -> None:
    details = tuple(("é" * TEXT_MAX, "é" * TEXT_MAX) for _ in range(DETAILS_MAX))
    kinds = (ELECTION, ACT, SETTING)
    notes = tuple(Note(kind=kind, what="large", details=details) for kind in kinds)
    store = StateStore(TODAY)
    for _ in range(10):
        apply(store, WriteJournal(time_ms=1, notes=notes * 60))
    size = sum(lane.size for lane in journal.state(store).lanes)
    assert BYTES_MAX * 0.9 < size <= BYTES_MAX
    encoded = sum(len(encode(WriteJournal(time_ms=1, notes=notes[:1]))) for _ in whats(store))
    assert encoded < 1.1 * BYTES_MAX


def test_a_snapshot_carries_the_journal_and_it_goes_on() -> None:
    store = store_after(
        WriteJournal(
            time_ms=1, notes=notes("1", "2"), told=Told(term=2, members=(("a", "x", True),))
        )
    )
    chunks: list[bytes] = []
    store.snapshot()(chunks.append)
    other = StateStore(TODAY)
    other.restore(decode_snapshot(io.BytesIO(b"".join(chunks)).read, TODAY))
    for each in (store, other):
        apply(each, WriteJournal(time_ms=2, notes=notes("3")))
    assert whats(other) == whats(store) == ["3", "2", "1"]
    assert journal.told(other).members == (("a", "x", True),)
    assert other.digest() == store.digest()


def test_it_takes_level_2_and_a_server_below_it_stops_there() -> None:
    below = registry_of_level(1)
    for command in (WriteJournal(time_ms=1), wrapped(SPREAD)):
        assert command.LEVEL == 2
        with pytest.raises(Held, match=f"type {command.TYPE}"):
            StateStore(below).apply(1, encode(command))


@pytest.mark.parametrize(
    ("command", "type_"),
    [
        pytest.param(wrapped(wrapped(SPREAD)), Noted.TYPE, id="wraps itself"),
        pytest.param(Noted(command=b"", note=NO_NOTE, time_ms=1), -1, id="empty"),
        pytest.param(Noted(command=b"\x7fx", note=NO_NOTE, time_ms=1), 0x7F, id="unknown"),
    ],
)
def test_what_cannot_be_read_inside_is_what_stops_a_server(command: Noted, type_: int) -> None:
    """The version that reads it is named, not one that reads the envelope."""
    found = decode(encode(command), TODAY)
    assert isinstance(found, UnknownCommand)
    assert found.type == type_


NOTES = st.builds(
    Note,
    kind=st.sampled_from([ELECTION, ACT, SETTING]) | st.text(max_size=200),
    what=st.text(max_size=200),
    subject=st.text(max_size=200),
    cause=st.text(max_size=200),
    force=st.booleans(),
    details=st.lists(st.tuples(st.text(max_size=200), st.text(max_size=200)), max_size=20).map(
        tuple
    ),
)


@given(st.lists(st.lists(NOTES, max_size=4), max_size=12), st.integers(0, 12))
def test_servers_tell_the_same_whenever_they_came_by_a_snapshot(
    entries: list[list[Note]], at: int
) -> None:
    """However much is dropped: by one log, or by a snapshot and the rest of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "RECORDS_MAX", 8)
        patch.setattr(journal, "BYTES_MAX", 4000)
        one, other = StateStore(TODAY), StateStore(TODAY)
        for index, told in enumerate(entries, start=1):
            if index == at:
                chunks: list[bytes] = []
                one.snapshot()(chunks.append)
                other = StateStore(TODAY)
                other.restore(decode_snapshot(io.BytesIO(b"".join(chunks)).read, TODAY))
            for store in (one, other):
                store.apply(index, encode(WriteJournal(time_ms=index, notes=tuple(told))))
        assert [*newest_first(one)] == [*newest_first(other)]
        assert one.digest() == other.digest()
        lanes = journal.state(one).lanes
        assert sum(lane.next - lane.first for lane in lanes) == len(one.rows(journal.TABLE)) <= 8
        assert sum(lane.size for lane in lanes) <= 4000
