"""Pain 21: a full disk refuses writes, answers reads, loses nothing, and works again with room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from storage_builders import CONFIGURATION, dump, entries

from quorate.errors import StorageFull
from quorate.raft.values.identity import Start
from quorate.raft.values.messages import HardState
from quorate.storage.atomic import write_atomic
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.free_space import free_bytes
from quorate.storage.log.files import LogFiles
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.storage.snapshots.sink import SnapshotSink
from quorate.storage.snapshots.store import SnapshotStore

DISK_BYTES = 12 << 20
NODE_ID = "0b7d2b4c-6f0e-4d7e-9a41-9f3d1f0c2a55"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 12 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system to fill")
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room at all; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert free_bytes(disk) == 0
    return ballast


def write_until_full(store: LogStore, size: int) -> None:
    count = max(2, 20_000 // size)
    while True:
        store.write(WriteBatch(entries=entries(store.last_index() + 1, count, size=size)))


@pytest.mark.parametrize("size", [10, 300, 2500, 100_000])
def test_log_store(small_disk: Path, size: int) -> None:
    store = LogStore.open(small_disk / "log")
    store.write(WriteBatch(entries=entries(1, 50, size=100), meta={"x": b"y"}))
    ballast = fill(small_disk)
    before = dump(store)
    with pytest.raises(StorageFull, match="no room") as caught:
        write_until_full(store, size)
    assert caught.value.next_step == "make room on that disk"
    assert dump(store)[:3] == (before[0], 1, store.last_index())
    for number in range(LogFiles.piece // 512):  # in the room that is kept, the server still votes
        store.write(WriteBatch(hard_state=HardState(number, "10.0.0.1:4647", number)))
    before = dump(store)
    store.close()
    store = LogStore.open(small_disk / "log")  # also a server that is started now
    assert dump(store) == before
    ballast.unlink()
    last = store.last_index()
    store.write(WriteBatch(entries=entries(last + 1, 5, size=size)))
    after = dump(store)
    store.close()
    store = LogStore.open(small_disk / "log")
    assert store.last_index() == last + 5
    assert dump(store) == after
    store.close()


@pytest.mark.parametrize("size", [3000, 400_000])
def test_write_beyond_the_room_that_is_kept(small_disk: Path, size: int) -> None:
    """Not one of entries, but larger than what is kept for those without."""
    store = LogStore.open(small_disk / "log")
    store.write(WriteBatch(entries=entries(1, 50)))
    ballast = fill(small_disk)
    before = dump(store)
    batch = WriteBatch(hard_state=HardState(9, "a", 9), meta={"x": bytes(size)})
    if size < LogFiles.piece:
        store.write(batch)
    else:
        for _ in range(2):
            with pytest.raises(StorageFull, match=r"cannot write the log in .*: no room"):
                store.write(batch)
            assert dump(store) == before
        store.close()
        store = LogStore.open(small_disk / "log")
        assert dump(store) == before
        ballast.unlink()
        store.write(batch)
    assert store.hard_state().term == 9
    store.close()
    LogStore.open(small_disk / "log").close()


@pytest.mark.parametrize("size", [10, 300, 2500, 9000, 100_000])
def test_log_that_filled_its_disk_can_be_compacted(small_disk: Path, size: int) -> None:
    store = LogStore.open(small_disk / "log")
    held = []
    for _ in range(3):
        with pytest.raises(StorageFull, match="no room"):
            write_until_full(store, size)
        held.append(store.last_index() - store.first_index() + 1)
        store.write(WriteBatch(compact_to=store.last_index() - 1))
    assert min(held) > 0.6 * max(held)  # all but the newest file's room comes back, each time
    store.close()
    LogStore.open(small_disk / "log").close()


def test_log_store_that_has_no_room_to_begin_with(small_disk: Path) -> None:
    ballast = fill(small_disk)
    with pytest.raises(StorageFull):
        LogStore.open(small_disk / "log")
    ballast.unlink()
    store = LogStore.open(small_disk / "log")
    store.write(WriteBatch(entries=entries(1, 5)))
    store.close()


def write_pieces(sink: SnapshotSink, size: int) -> None:
    for _ in range(size // 100_000):
        sink.write(bytes(100_000))


def test_snapshot_leaves_nothing_behind(small_disk: Path) -> None:
    snapshots = SnapshotStore(small_disk / "snapshots")
    with snapshots.create(3, 1, CONFIGURATION, 1, now_ms=1) as sink:
        sink.write(b"state")
        kept = sink.finish()
    free = free_bytes(small_disk)
    sink = snapshots.create(4, 1, CONFIGURATION, 1, now_ms=1)
    with pytest.raises(StorageFull, match="cannot write snapshot 1-4-1: no room"):
        write_pieces(sink, 2 * DISK_BYTES)
    assert free_bytes(small_disk) == free
    assert snapshots.list() == [kept]
    assert [path.name for path in (small_disk / "snapshots").iterdir()] == [kept.id]


def test_snapshot_that_does_not_fit_at_its_end(small_disk: Path) -> None:
    snapshots = SnapshotStore(small_disk / "snapshots")
    sink = snapshots.create(4, 1, CONFIGURATION, 1, now_ms=1)
    ballast = fill(small_disk)
    sink.write(bytes(1000))  # stays in the buffer
    with pytest.raises(StorageFull):
        sink.finish()
    assert list((small_disk / "snapshots").iterdir()) == []
    ballast.unlink()
    with snapshots.create(4, 1, CONFIGURATION, 1, now_ms=1) as sink:
        sink.write(bytes(1000))
        assert snapshots.list() == []
        assert sink.finish().size == 1000


def test_atomic_write_keeps_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file"
    write_atomic(path, b"old")
    fill(small_disk)
    with pytest.raises(StorageFull, match=f"cannot write {path}: no room"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in small_disk.iterdir()) == ["ballast", "file"]


def test_data_folder_opens(small_disk: Path) -> None:
    def open_folder() -> DataFolder:
        return DataFolder.open(
            small_disk, region="r", version="1", make_id=lambda: NODE_ID, run=bytes(8)
        )

    with open_folder() as folder:
        folder.open_log().close()
    fill(small_disk)
    with open_folder() as folder:
        assert folder.node_id == NODE_ID
        folder.open_log().close()
        with pytest.raises(StorageFull):
            folder.set_cluster_id("c")
        assert folder.identity.cluster_id == ""
        # What a vote depends on is written all the same, at this start and in the next one.
        assert folder.start.number == 2
        folder.note_starts({"b": Start(7, b"12345678")})
        folder.set_level(1)
    with open_folder() as folder:
        assert folder.start.number == 3
        assert folder.seen == {"b": Start(7, b"12345678")}
        assert folder.level == 1
        folder.mark_rolled_back("seen at start 9", 1_800_000_000)
    with pytest.raises(StorageFull):  # a new ID needs room
        open_folder()
    (small_disk / "ballast").unlink()
    with open_folder() as folder:
        assert folder.state_lost


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Another kind of full, for which no root is needed."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_file_size_limit_is_a_full_disk_too(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path / "log")
    store.write(WriteBatch(entries=entries(1, 50)))
    before = dump(store)
    with largest_file(store.size_bytes()), pytest.raises(StorageFull):
        store.write(WriteBatch(entries=entries(51, 50, size=2500)))
    assert dump(store) == before
    store.write(WriteBatch(entries=entries(51, 50, size=2500)))
    with largest_file(1000), pytest.raises(StorageFull):
        write_atomic(tmp_path / "file", bytes(2000))
    assert not (tmp_path / "file").exists()
    store.close()
