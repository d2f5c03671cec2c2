"""The disk's thread: order, shared transactions, and a full disk as a state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from quorate.errors import StorageFull
from quorate.raft.effects import Persist
from quorate.raft.values.messages import Entry, EntryKind, HardState
from quorate.replica import disk as disk_module
from quorate.replica.disk import Disk
from quorate.storage.log.store import LogStore, WriteBatch


def entry(index: int, term: int = 1, data: bytes = b"x") -> Entry:
    return Entry(index, term, EntryKind.COMMAND, data)


class Reports:
    """What the thread says, to be waited for."""

    def __init__(self) -> None:
        self.durable: SimpleQueue[int] = SimpleQueue()
        self.term: SimpleQueue[int] = SimpleQueue()
        self.full: SimpleQueue[bool] = SimpleQueue()
        self.failed: SimpleQueue[BaseException] = SimpleQueue()

    def wait_for(self, sequence: int) -> None:
        while self.durable.get(timeout=5) < sequence:
            pass


@contextmanager
def running(store: LogStore, folder: Path) -> Iterator[tuple[Disk, Reports]]:
    reports = Reports()
    disk = Disk(
        store,
        folder,
        reserve_bytes=1,
        on_durable=lambda sequence, _: reports.durable.put(sequence),
        on_term=reports.term.put,
        on_full=reports.full.put,
        on_failure=reports.failed.put,
    )
    disk.start()
    try:
        yield disk, reports
    finally:
        disk.close()
        store.close()


def test_writes_become_durable_in_order(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, hard_state=HardState(term=1)))
        disk.submit(Persist(2, entries=(entry(1), entry(2))))
        disk.submit(Persist(3, truncate_from=2, entries=(entry(2, data=b"y"),)))
        disk.submit(Persist(4, compact_to=1))
        reports.wait_for(4)
        assert store.hard_state() == HardState(term=1)
        assert [e.data for e in store.entries(2, 3, 1000)] == [b"y"]
        assert store.first_index() == 2


def test_what_waits_shares_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore.open(tmp_path)
    batches: list[WriteBatch] = []
    gate = threading.Event()
    write = store.write

    def slow(batch: WriteBatch) -> None:
        gate.wait(5)
        batches.append(batch)
        write(batch)

    monkeypatch.setattr(store, "write", slow)
    with running(store, tmp_path) as (disk, reports):
        for index in range(1, 51):
            disk.submit(Persist(index, entries=(entry(index),)))
        gate.set()
        reports.wait_for(50)
        assert store.last_index() == 50
        assert len(batches) <= 3


def test_how_long_a_write_has_hung_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogStore.open(tmp_path)
    begun, gate, write = threading.Event(), threading.Event(), store.write

    def hanging(batch: WriteBatch) -> None:
        begun.set()
        gate.wait(5)
        write(batch)

    monkeypatch.setattr(store, "write", hanging)
    with running(store, tmp_path) as (disk, reports):
        assert disk.waits_s == 0
        disk.submit(Persist(1, entries=(entry(1),)))
        assert begun.wait(5)
        first = disk.waits_s
        assert disk.waits_s > first
        gate.set()
        reports.wait_for(1)
        assert disk.waits_s == 0


def test_a_full_disk_is_told_and_the_write_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogStore.open(tmp_path)
    write = store.write
    room = threading.Event()

    def maybe(batch: WriteBatch) -> None:
        if not room.is_set():
            raise StorageFull("no room")
        write(batch)

    monkeypatch.setattr(store, "write", maybe)
    monkeypatch.setattr(disk_module, "_RETRY_INTERVAL_S", 0.01)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, entries=(entry(1),)))
        assert reports.full.get(timeout=5) is True
        assert reports.durable.empty()
        room.set()
        reports.wait_for(1)
        assert reports.full.get(timeout=5) is False
        assert store.last_index() == 1


def test_an_unexpected_error_ends_the_thread_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogStore.open(tmp_path)

    def broken(_: Any) -> None:
        raise RuntimeError("input/output error")

    monkeypatch.setattr(store, "write", broken)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, entries=(entry(1),)))
        assert "input/output" in str(reports.failed.get(timeout=5))


def test_term_and_vote_pass_entries_that_have_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times: with the entries in one write, behind them, and while they wait."""
    store = LogStore.open(tmp_path)
    write = store.write
    room = threading.Event()

    def maybe(batch: WriteBatch) -> None:
        if batch.entries and not room.is_set():
            raise StorageFull("no room")
        write(batch)

    monkeypatch.setattr(store, "write", maybe)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, HardState(3), entries=(entry(1, 3),)))
        disk.submit(Persist(2, HardState(4, "b", 4)))
        disk.submit(Persist(3, truncate_from=1, entries=(entry(1, 4),)))
        while reports.term.get(timeout=5) < 3:
            pass
        assert store.hard_state() == HardState(4, "b", 4)
        disk.submit(Persist(4, HardState(5, "c", 5)))
        assert reports.term.get(timeout=5) == 4
        assert store.hard_state() == HardState(5, "c", 5)
        assert reports.durable.empty()
        assert store.last_index() == 0
        room.set()
        reports.wait_for(4)
        assert store.hard_state() == HardState(5, "c", 5)
        assert store.term(1) == 4
    with_log = LogStore.open(tmp_path)
    assert with_log.hard_state() == HardState(5, "c", 5)
    assert with_log.term(1) == 4
    with_log.close()


def test_compaction_passes_entries_that_have_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes the room that they wait for; entries that are not durable are not compacted."""
    store = LogStore.open(tmp_path)
    write = store.write
    room = threading.Event()

    def maybe(batch: WriteBatch) -> None:
        if batch.entries and not room.is_set():
            raise StorageFull("no room")
        write(batch)
        if batch.compact_to == 2:
            room.set()

    store.write(WriteBatch(entries=[entry(1), entry(2), entry(3)]))
    monkeypatch.setattr(store, "write", maybe)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, entries=(entry(4),)))
        assert reports.full.get(timeout=5) is True
        disk.submit(Persist(2, compact_to=4))
        assert reports.durable.empty()
        disk.submit(Persist(3, compact_to=2))
        reports.wait_for(3)
        assert (store.base()[0], store.last_index()) == (4, 0)


def test_compaction_does_not_pass_a_cut_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogStore.open(tmp_path)
    write, room = store.write, threading.Event()
    batches: list[WriteBatch] = []

    def maybe(batch: WriteBatch) -> None:
        if batch.entries and not room.is_set():
            raise StorageFull("no room")
        batches.append(batch)
        write(batch)

    store.write(WriteBatch(entries=[entry(1), entry(2), entry(3)]))
    monkeypatch.setattr(store, "write", maybe)
    with running(store, tmp_path) as (disk, reports):
        disk.submit(Persist(1, HardState(2), truncate_from=3, entries=(entry(3, 2),)))
        disk.submit(Persist(2, compact_to=2))
        assert reports.term.get(timeout=5) >= 1
        assert [batch.compact_to for batch in batches] == [None]
        room.set()
        reports.wait_for(2)
        assert (store.base()[0], store.term(3)) == (2, 2)
