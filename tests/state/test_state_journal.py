"""The journal: what is told, in which order, how much of it is kept, and that it is told once."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from older_registry import registry_of_level

from quorate.state.engine.commands import UnknownCommand, decode, encode
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.engine.table import Command
from quorate.state.tables import journal
from quorate.state.tables.checks import CheckState
from quorate.state.tables.journal import (
    ACT,
    BYTES_MAX,
    DETAILS_MAX,
    ELECTION,
    SETTING,
    TEXT_MAX,
    JournalRecord,
    Note,
    Noted,
    Told,
    WriteJournal,
    newest_first,
)
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.state.tables.servers import RECORDS_MAX as SERVERS_MAX
from quorate.state.tables.servers import RecordRemoval, RecordServer

SPREAD = SetSchedulerConfiguration(
    configuration=SchedulerConfiguration(scheduler_algorithm="spread")
)


def store_after(*commands: Command) -> StateStore:
    store = StateStore()
    for command in commands:
        apply(store, command)
    return store


def apply(store: StateStore, command: Command) -> Any:
    return store.apply(store.applied_index + 1, encode(command))


def wrapped(command: Command, **fields: Any) -> Noted:
    values = {"kind": SETTING, "what": "changed", "time_ms": 1, "by": "operator", **fields}
    return Noted(command=encode(command), **values)


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
    assert [*store.rows(journal.TABLE)] == [f"{number:016d}" for number in range(3)]


def test_an_empty_journal_has_nothing_to_read() -> None:
    assert whats(StateStore()) == []


def test_what_is_told_by_comparison_is_told_once() -> None:
    first, second = Told(term=2, leader="a"), Told(term=3, leader="b")
    store = StateStore()
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


def test_a_change_of_settings_is_told_in_its_own_entry() -> None:
    store = store_after(SPREAD)
    other = SchedulerConfiguration(memory_oversubscription_enabled=True)
    command = SetSchedulerConfiguration(configuration=other)
    assert apply(store, wrapped(command, time_ms=77)) is True
    (record,) = newest_first(store)
    assert record == JournalRecord(
        kind=SETTING,
        what="changed",
        time_ms=77,
        by="operator",
        subject="scheduler_configuration",
        details=(
            ("scheduler_algorithm", "spread -> binpack"),
            ("memory_oversubscription_enabled", "false -> true"),
        ),
        create_index=2,
        modify_index=2,
    )
    assert store.table_index("scheduler_configuration") == 2


def test_what_changes_nothing_is_not_told() -> None:
    store = store_after(SPREAD)
    apply(store, wrapped(SPREAD))
    refused = SetSchedulerConfiguration(configuration=SchedulerConfiguration(), cas=99)
    assert apply(store, wrapped(refused)) is False
    apply(store, wrapped(CheckState()))
    assert whats(store) == []
    apply(store, wrapped(SPREAD, skipped=7))
    (record,) = newest_first(store)
    assert record.details == (("not told one by one", "7 changes before"),)


def test_an_act_is_told_with_its_force_and_cause_though_nothing_is_new() -> None:
    removal = RecordRemoval(server_id="s", name="n", address="a:1")
    act = {"kind": ACT, "what": "remove"}
    store = store_after(
        RecordServer(server_id="s", name="n", address="a:1"), wrapped(removal, force=True, **act)
    )
    apply(store, wrapped(removal, cause="again", **act))
    assert [
        (record.subject, record.force, record.cause, record.details)
        for record in newest_first(store)
    ] == [("s", False, "again", ()), ("s", True, "", (("removed", "false -> true"),))]


def test_only_what_a_command_is_about_is_told() -> None:
    """A full table drops its oldest server: that one was not removed by the operator."""
    servers = (
        RecordServer(server_id=f"s{number}", name="n", address="a:1")
        for number in range(SERVERS_MAX)
    )
    store = store_after(*servers)
    removal = RecordRemoval(server_id="new", name="n", address="a:1")
    apply(store, wrapped(removal, kind=ACT, what="remove"))
    assert [record.subject for record in newest_first(store)] == ["new"]


def test_texts_of_callers_are_cut() -> None:
    details = tuple((f"field {number}", "y" * 5000) for number in range(50))
    note = Note(kind="k" * 999, what="w" * 999, subject="s" * 999, cause="c", details=details)
    store = store_after(WriteJournal(time_ms=1, by="b" * 999, notes=(note,)))
    (record,) = newest_first(store)
    texts = (record.kind, record.what, record.by, record.subject, record.details[0][1])
    assert {len(text) for text in texts} == {TEXT_MAX}
    assert record.what.endswith("www...")
    assert len(record.details) == DETAILS_MAX


@pytest.mark.parametrize(("bound", "value"), [("RECORDS_MAX", 3), ("BYTES_MAX", 3 * (64 + 8 + 1))])
def test_the_oldest_records_go(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(journal, bound, value)
    store = StateStore()
    for number in range(8):
        apply(store, WriteJournal(time_ms=1, notes=notes(str(number))))
    assert whats(store) == ["7", "6", "5"]
    assert len(store.rows(journal.TABLE)) == 3
    apply(store, WriteJournal(time_ms=1, notes=notes(*"abcde")))
    assert whats(store) == ["e", "d", "c"]


def test_large_records_do_not_take_more_than_the_bound() -> None:
    details = tuple(("é" * TEXT_MAX, "é" * TEXT_MAX) for _ in range(DETAILS_MAX))
    note = Note(kind=ELECTION, what="large", details=details)
    store = StateStore()
    for _ in range(10):
        apply(store, WriteJournal(time_ms=1, notes=(note,) * 60))
    size = len(b"".join(encode(WriteJournal(time_ms=1, notes=(note,))) for _ in whats(store)))
    assert BYTES_MAX // 2 < journal.state(store).size <= BYTES_MAX
    assert size < 1.1 * BYTES_MAX


def test_a_snapshot_carries_the_journal_and_it_goes_on() -> None:
    store = store_after(
        WriteJournal(
            time_ms=1, notes=notes("1", "2"), told=Told(term=2, members=(("a", "x", True),))
        )
    )
    chunks: list[bytes] = []
    store.snapshot()(chunks.append)
    other = StateStore()
    other.restore(decode_snapshot(io.BytesIO(b"".join(chunks)).read))
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
        pytest.param(Noted(command=b"", kind="", what="", time_ms=1), -1, id="empty"),
        pytest.param(Noted(command=b"\x7fx", kind="", what="", time_ms=1), 0x7F, id="unknown"),
    ],
)
def test_what_cannot_be_read_inside_is_what_stops_a_server(command: Noted, type_: int) -> None:
    """The version that reads it is named, not one that reads the envelope."""
    found = decode(encode(command))
    assert isinstance(found, UnknownCommand)
    assert found.type == type_


NOTES = st.builds(
    Note,
    kind=st.text(max_size=200),
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
        patch.setattr(journal, "RECORDS_MAX", 5)
        patch.setattr(journal, "BYTES_MAX", 2000)
        one, other = StateStore(), StateStore()
        for index, told in enumerate(entries, start=1):
            if index == at:
                chunks: list[bytes] = []
                one.snapshot()(chunks.append)
                other = StateStore()
                other.restore(decode_snapshot(io.BytesIO(b"".join(chunks)).read))
            for store in (one, other):
                store.apply(index, encode(WriteJournal(time_ms=index, notes=tuple(told))))
        assert [*newest_first(one)] == [*newest_first(other)]
        assert one.digest() == other.digest()
        assert len(one.rows(journal.TABLE)) <= 5
        bounds = journal.state(one)
        assert bounds.next - bounds.first == len(one.rows(journal.TABLE))
        assert bounds.size <= 2000
