"""The power fails in the middle of a write: any of its sectors are there, in any combination.

The disk is modelled as disks and file systems behave: a write that was not finished has left, of
its sectors of 512 bytes, any subset, each of them whole, and a file that was not yet grown durably
has its old size or its new one. Whatever is left, the store is what it was before the write; with
all of it there, it is what it is after. A byte that changed besides is found all the same.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_builders import dump, entries

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.raft.values.messages import HardState
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import FRAME
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.testing.sim.machines.sectors import CutError, SectorDisk

SIZES = st.lists(st.integers(0, 3000), min_size=0, max_size=5)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFiles, "segment_bytes", 6000)


def batch(first: int, sizes: list[int], term: int) -> WriteBatch:
    return WriteBatch(
        truncate_from=max(first - 1, 1),
        entries=[entries(max(first - 1, 1) + n, 1, term, size)[0] for n, size in enumerate(sizes)],
        hard_state=HardState(term, f"10.0.0.{term}:4647", term),
        meta={"x": b"%d" % term},
    )


def image(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in segments_in(folder)}


def restore(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def changed_sectors(before: dict[str, bytes], after: dict[str, bytes]) -> list[tuple[str, int]]:
    """The sectors that the write changed, by file and offset."""
    return [
        (name, at)
        for name, content in after.items()
        for at in range(0, len(content), FRAME)
        if content[at : at + FRAME] != before.get(name, b"")[at : at + FRAME].ljust(FRAME, b"\0")
    ]


def torn(
    before: dict[str, bytes], after: dict[str, bytes], kept: set[tuple[str, int]], named: bool
) -> dict[str, bytes]:
    """What is on the disk if only the sectors `kept` of the last write got there."""
    left = {}
    for name, content in after.items():
        if name not in before and not (named or any(file == name for file, _ in kept)):
            continue
        data = bytearray(before.get(name, b"").ljust(len(content), b"\0"))
        for file, at in kept:
            if file == name:
                data[at : at + FRAME] = content[at : at + FRAME]
        left[name] = bytes(data)
    return left


def opened(folder: Path) -> Iterator[LogStore]:
    store = LogStore.open(folder)
    yield store
    store.close()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(writes=st.lists(SIZES, max_size=5), last=SIZES, data=st.data())
def test_a_torn_write_is_undone_and_damage_beside_it_is_found(
    tmp_path: Path, writes: list[list[int]], last: list[int], data: st.DataObject
) -> None:
    folder = tmp_path / "log"
    shutil.rmtree(folder, ignore_errors=True)
    store = LogStore.open(folder)
    for term, sizes in enumerate(writes, 1):
        store.write(batch(store.last_index() + 1, sizes, term))
    before, said_before = image(folder), dump(store)
    final = batch(store.last_index() + 1, last, 90)
    store.write(final)
    after, said_after = image(folder), dump(store)
    store.close()

    sectors = changed_sectors(before, after)
    # What a file says of itself is no part of the record. The file before a new one says that it
    # is followed when the record is durable.
    stated = {(name, 0) for name in before}
    kept = set(data.draw(st.lists(st.sampled_from(sectors), unique=True)))
    is_whole = kept >= set(sectors) - stated
    if len(after) > len(before) and not is_whole:
        kept -= stated
    left = torn(before, after, kept, named=data.draw(st.booleans()))
    restore(folder, left)
    for store in opened(folder):
        assert dump(store) == (said_after if is_whole else said_before)
        if not is_whole:
            store.write(final)  # the server goes on from there
        assert dump(store) == said_after
    for store in opened(folder):
        assert dump(store) == said_after

    # One byte besides, in a sector that is not zeros: never loaded, never taken for a torn write.
    written = [
        (name, at)
        for name, content in left.items()
        for at in range(0, len(content), FRAME)
        if any(content[at : at + FRAME])
    ]
    name, at = data.draw(st.sampled_from(written))
    damaged = bytearray(left[name])
    damaged[at + data.draw(st.integers(0, FRAME - 1))] ^= data.draw(st.integers(1, 255))
    restore(folder, left | {name: bytes(damaged)})
    with pytest.raises(LogDamaged):
        LogStore.open(folder)


def test_growth_that_a_crash_undid(tmp_path: Path) -> None:
    """The file has its old size, and sectors of the write that needed the new one.

    Versions whose files said nothing of their size wrote so.
    """
    store = LogStore.open(tmp_path / "log")
    store.write(WriteBatch(entries=entries(1, 1)))
    before, said = image(tmp_path / "log"), dump(store)
    store.write(WriteBatch(entries=entries(2, 1, size=2 * LogFiles.piece)))
    after = image(tmp_path / "log")
    store.close()
    ((name, old),) = before.items()
    restore(tmp_path / "log", {name: old[:FRAME] + after[name][FRAME : len(old)]})
    for store in opened(tmp_path / "log"):
        assert dump(store) == said


def test_making_that_a_crash_cut_off(tmp_path: Path) -> None:
    LogStore.open(tmp_path / "good").close()
    ((name, content),) = image(tmp_path / "good").items()
    for left in (b"", bytes(LogFiles.piece), content):
        restore(tmp_path / "log", {name: left})
        for store in opened(tmp_path / "log"):
            store.write(WriteBatch(entries=entries(1, 1)))
        for store in opened(tmp_path / "log"):
            assert store.last_index() == 1


class SmallFiles(LogFiles):
    segment_bytes = 2048
    piece = 1024


@pytest.mark.parametrize("flushes", [0, 1])
def test_what_is_believed_at_a_start_is_not_lost_later(flushes: int) -> None:
    """A process killed before a flush of the write that begins a file; later the power goes.

    Found by the simulator: the first record was believed, its file's name was not durable.
    """
    for seed in range(40):
        sectors = SectorDisk()
        files = SmallFiles(Path("log"), sectors)
        store = LogStore.open_files(files)
        for index in (1, 2, 3):
            store.write(WriteBatch(entries=entries(index, 1)))
        sectors.cut_after(flushes)
        with pytest.raises(CutError):
            store.write(WriteBatch(entries=entries(4, 1)))
        assert len(sectors.files) == 2
        sectors.restart()
        store = LogStore.open_files(files)
        assert store.last_index() == 3 + flushes  # the kernel knew of it
        said = dump(store)
        if seed % 2:
            store.write(WriteBatch(hard_state=HardState(7, "a", 7)))
            said = dump(store)
        sectors.lose_power(random.Random(seed))
        assert dump(LogStore.open_files(files)) == said


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("fsync", errno.ENOSPC),
        ("posix_fallocate", errno.ENOSPC),
        ("fdatasync", errno.ENOSPC),
        ("open", errno.EMFILE),
        ("open", errno.ENFILE),
    ],
)
def test_a_new_file_that_fails_leaves_the_store_as_it_was(call: str, code: int) -> None:
    """No room or descriptor for a file: neither what is read nor what is written next suffers."""
    sectors = SectorDisk()
    files = SmallFiles(Path("log"), sectors)
    store = LogStore.open_files(files)
    for index in (1, 2, 3):
        store.write(WriteBatch(entries=entries(index, 1)))
    said = dump(store)

    def no_room(*_: object) -> None:
        delattr(sectors, call)  # the next one finds room
        raise OSError(code, os.strerror(code))

    setattr(sectors, call, no_room)
    with pytest.raises(StorageFull):
        store.write(WriteBatch(entries=entries(4, 1)))
    assert len(sectors.files) == 1
    assert dump(store) == said
    store.write(WriteBatch(entries=entries(4, 2)))
    assert (len(sectors.files), store.last_index()) == (2, 5)
    assert dump(LogStore.open_files(files)) == dump(store)


VOTE = HardState(7, "a", 7)


@pytest.mark.parametrize(
    ("failing", "flush"),
    [
        (WriteBatch(hard_state=VOTE), 0),
        (WriteBatch(entries=entries(4, 1), hard_state=VOTE), 0),  # begins a file: its name
        (WriteBatch(entries=entries(4, 1), hard_state=VOTE), 1),  # and its first record
    ],
)
def test_what_is_believed_after_a_failed_flush_is_not_lost_later(
    failing: WriteBatch, flush: int
) -> None:
    """EIO ends a process; the kernel shows its vote to the next one; then the power goes."""
    for seed in range(40):
        sectors = SectorDisk()
        files = SmallFiles(Path("log"), sectors)
        store = LogStore.open_files(files)
        for index in (1, 2, 3):
            store.write(WriteBatch(entries=entries(index, 1)))
        sectors.fail_after(flush)
        with pytest.raises(QuorateError, match="Input/output error"):
            store.write(failing)
        sectors.restart()
        store = LogStore.open_files(files)
        assert (store.hard_state() == VOTE) is (not failing.entries)
        if seed % 2:
            store.write(WriteBatch(hard_state=HardState(8, "b", 8)))
        said = dump(store)
        sectors.lose_power(random.Random(seed))
        assert dump(LogStore.open_files(files)) == said


def test_write_in_the_place_of_one_that_failed() -> None:
    """What a larger record has left there is not taken for damage, not even after a crash."""
    found = set()
    for seed in range(120):
        sectors = SectorDisk()
        files = SmallFiles(Path("log"), sectors)
        store = LogStore.open_files(files)
        store.write(WriteBatch(entries=entries(1, 1)))
        sectors.fail_after(1)  # its room has a flush of its own
        with pytest.raises(QuorateError):
            store.write(WriteBatch(entries=entries(2, 1, size=2000)))
        if seed % 3:
            sectors.cut_after(seed % 3 - 1)
            with pytest.raises(CutError):
                store.write(WriteBatch(hard_state=VOTE))
        else:
            store.write(WriteBatch(hard_state=VOTE))
        sectors.lose_power(random.Random(seed))
        store = LogStore.open_files(files)
        state = (store.last_index(), store.hard_state().term)
        assert seed % 3 or state == (1, 7)
        found.add(state)
    assert found == {(1, 0), (1, 7)}
