"""Snapshots: hashicorp/raft's folder format, digests, retention, interrupted writers."""

from __future__ import annotations

import errno
import json
import os
import random
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastcrc.crc64 import xz
from places import VECTORS
from storage_builders import CONFIGURATION, flip_all

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.storage.atomic import fsync_dir
from quorate.storage.free_space import free_bytes
from quorate.storage.snapshots.meta import SnapshotMeta
from quorate.storage.snapshots.store import SNAPSHOT_BYTES_MAX, SnapshotStore

GOLDEN: dict[str, Any] = json.loads((VECTORS / "snapshot-archive.json").read_text())


def make(
    store: SnapshotStore, index: int, term: int = 1, state: bytes = b"state", now_ms: int = 1000
) -> SnapshotMeta:
    with store.create(index, term, CONFIGURATION, 1, now_ms) as sink:
        sink.write(state)
        return sink.finish()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_golden_snapshot_of_a_real_server(tmp_path: Path) -> None:
    """The same state and membership give the same files, but for the checksum of the meta."""
    golden = GOLDEN["raft_snapshot_directory"]
    wanted = json.loads(golden["meta.json"])
    state = bytes.fromhex(next(m for m in GOLDEN["members"] if "content_hex" in m)["content_hex"])
    servers = wanted["Configuration"]["Servers"]
    configuration = Configuration(
        tuple(Server(s["ID"], s["Address"], Suffrage(s["Suffrage"])) for s in servers)
    )
    store = SnapshotStore(tmp_path)
    now_ms = int(wanted["ID"].rpartition("-")[2])
    with store.create(wanted["Index"], wanted["Term"], configuration, 1, now_ms) as sink:
        for n in range(0, len(state), 100):
            sink.write(state[n : n + 100])
        meta = sink.finish()
    assert meta.id == wanted["ID"] == golden["name"]
    assert (tmp_path / meta.id / "state.bin").read_bytes() == state
    line = (tmp_path / meta.id / "meta.json").read_bytes()
    body, _, checksum = line.partition(b',"Checksum":')
    assert body.decode() + "}\n" == golden["meta.json"]
    assert checksum.endswith(b"}\n")
    assert int.from_bytes(b64decode(json.loads(checksum[:-2])), "big") == xz(body)
    assert names(tmp_path / meta.id) == ["meta.json", "state.bin"]


def test_round_trip(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "raft" / "snapshots")
    state = random.Random(1).randbytes(3_000_000)
    with store.create(70, 3, CONFIGURATION, 12, 1_700_000_000_000) as sink:
        assert sink.id == "3-70-1700000000000"
        assert store.list() == []
        assert store.newest_valid() == (None, ())
        for n in range(0, len(state), 700_001):
            sink.write(state[n : n + 700_001])
        meta = sink.finish()
    assert meta == SnapshotMeta(
        id="3-70-1700000000000",
        index=70,
        term=3,
        configuration=CONFIGURATION,
        configuration_index=12,
        size=len(state),
        crc=xz(state).to_bytes(8, "big"),
    )
    again = SnapshotStore(tmp_path / "raft" / "snapshots")
    assert again.list() == [meta]
    assert again.newest_valid() == (meta, ())
    with again.open(meta.id) as file:
        assert file.read() == state


def test_empty_state_and_membership(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    with store.create(0, 0, Configuration(), 0, 0) as sink:
        meta = sink.finish()
    assert store.newest_valid() == (meta, ())
    with store.open(meta.id) as file:
        assert file.read() == b""


def test_order_is_by_term_then_index_then_id_as_text(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, retain=10)
    made = [
        make(store, index, term, now_ms=now_ms)
        for index, term, now_ms in [(9, 2, 5), (10, 2, 5), (100, 1, 5), (10, 2, 10), (1, 10, 5)]
    ]
    assert [meta.id for meta in store.list()] == ["10-1-5", "2-10-5", "2-10-10", "2-9-5", "1-100-5"]
    assert sorted(meta.id for meta in made) == sorted(meta.id for meta in store.list())


def test_older_ones_are_removed_but_never_those_to_keep(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, retain=2)
    first, second, third = (make(store, index) for index in (1, 2, 3))
    assert store.list() == [third, second]
    with store.create(4, 1, CONFIGURATION, 1, 1000) as sink:
        fourth = sink.finish(keep={second.id})
    assert store.list() == [fourth, third, second]
    fifth = make(store, 5)
    assert store.list() == [fifth, fourth]
    assert names(tmp_path) == sorted([fourth.id, fifth.id])
    older = make(store, 3)  # of an older entry than both, and yet the one just asked for
    assert store.list() == [fifth, fourth, older]
    assert first.id not in names(tmp_path)


def test_state_stays_readable_while_its_snapshot_is_removed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, retain=1)
    meta = make(store, 1, state=b"old state")
    with store.open(meta.id) as file:
        make(store, 2)
        assert names(tmp_path) == ["1-2-1000"]
        assert file.read() == b"old state"


def test_same_moment_gives_another_id(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    sink = store.create(1, 1, CONFIGURATION, 1, 1000)
    assert [make(store, 1).id, make(store, 1).id] == ["1-1-1001", "1-1-1002"]
    sink.abort()


def test_unfinished_ones_are_removed_when_the_store_is_opened(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    kept = make(store, 1)
    interrupted = store.create(2, 1, CONFIGURATION, 1, 1000)
    interrupted.write(b"half")
    for name in ("other.tmp", "1-2-3.txt", "x-2-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "1-2-3").touch()  # a plain file
    assert "1-2-1000.tmp" in names(tmp_path)
    assert store.list() == [kept]
    again = SnapshotStore(tmp_path)
    assert names(tmp_path) == sorted([kept.id, "other.tmp", "1-2-3.txt", "x-2-3", "1-2-3"])
    assert again.newest_valid() == (kept, ())
    interrupted.abort()


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    sink = store.create(1, 1, CONFIGURATION, 1, 1000)
    sink.write(b"x")
    sink.abort()
    sink.abort()
    with store.create(1, 1, CONFIGURATION, 1, 1000) as sink:
        sink.write(b"x")  # and the block ends without finish
    assert names(tmp_path) == []


def test_write_that_goes_wrong_is_named(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    sink = store.create(1, 1, CONFIGURATION, 1, 1000)
    sink.write(b"x")
    (tmp_path / sink.id).with_suffix("").mkdir()
    (tmp_path / sink.id / "in the way").touch()
    with pytest.raises(QuorateError, match="cannot write snapshot 1-1-1000: Directory not empty"):
        sink.finish()
    assert names(tmp_path) == ["1-1-1000"]


DAMAGE = [
    # (file, content with a flipped byte, what is said of it)
    ("state.bin", b"state of 2", "its checksum does not match"),
    ("meta.json", b"127.0.0.1:17412", "its checksum does not match"),
    ("meta.json", b'"Index":2', "its checksum does not match"),
    ("meta.json", b'"Checksum"', "its checksum does not match"),
]


@pytest.mark.parametrize(("file", "content", "said"), DAMAGE)
def test_damaged_newest_is_named_and_not_loaded(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    store = SnapshotStore(tmp_path)
    older = make(store, 1, state=b"state of 1")
    newer = make(store, 2, state=b"state of 2")
    assert flip_all(tmp_path / newer.id / file, content, at=len(content) - 1) == 1
    path = str(tmp_path / newer.id / file)

    meta, problems = store.newest_valid()
    assert meta is None  # not the older one, unless it is asked for
    assert [(p.path, p.index, p.text) for p in problems] == [
        (path, None, f"{path} is damaged: {said}")
    ]
    with pytest.raises(LogDamaged, match=said):
        store.open(newer.id)
    assert store.list()[-1] == older
    assert (newer in store.list()) == (file == "state.bin")  # a list does not read states

    for fall_back_to, expected in [(0, older), (1, older), (2, None)]:
        found = store.newest_valid(fall_back_to=fall_back_to)
        assert found.meta == expected
        assert [p.path for p in found.problems] == [path]


def test_every_byte_of_the_meta_counts(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    meta = make(store, 2)
    path = tmp_path / meta.id / "meta.json"
    good = path.read_bytes()
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = store.newest_valid()
        assert found.meta is None, place
        assert [p.path for p in found.problems] == [str(path)]
    path.write_bytes(good)
    assert store.newest_valid() == (meta, ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "state.bin").unlink(), r"state\.bin is missing"),
        (lambda folder: (folder / "meta.json").unlink(), r"meta\.json is missing"),
        (lambda folder: (folder / "meta.json").write_bytes(b""), "its checksum does not match"),
        (lambda folder: (folder / "state.bin").write_bytes(b"stat"), "it has 4 bytes of 5"),
        (lambda folder: folder.rename(folder.parent / "1-3-1000"), "is of another snapshot: 1-2-"),
    ],
)
def test_incomplete_newest_is_named(tmp_path: Path, change: Any, said: str) -> None:
    store = SnapshotStore(tmp_path)
    meta = make(store, 2)
    change(tmp_path / meta.id)
    found = store.newest_valid(fall_back_to=0)
    assert found.meta is None
    assert len(found.problems) == 1
    with pytest.raises(LogDamaged, match=said):
        raise found.problems[0]


def test_damaged_ones_do_not_push_out_good_ones(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, retain=2)
    bad = make(store, 9)
    flip_all(tmp_path / bad.id / "meta.json", b"Index")
    good = [make(store, index) for index in (1, 2, 3)]
    assert names(tmp_path) == sorted([bad.id, good[1].id, good[2].id])


def test_unknown_snapshot(tmp_path: Path) -> None:
    with pytest.raises(LogDamaged, match=r"meta\.json is missing"):
        SnapshotStore(tmp_path).open("1-2-3")


def _failing(folder: Path) -> Callable[..., None]:
    """A flush that fails for one folder."""

    def flush(path: Path) -> None:
        if path == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync_dir(path)

    return flush


def test_snapshot_whose_name_is_not_durable_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SnapshotStore(tmp_path)
    kept = make(store, 3)
    sink = store.create(5, 2, CONFIGURATION, 1, 3000)
    sink.write(b"state")
    with monkeypatch.context() as patched:
        patched.setattr("quorate.storage.snapshots.sink.fsync_dir", _failing(tmp_path))
        with pytest.raises(QuorateError, match="Input/output error"):
            sink.finish()
    assert names(tmp_path) == [kept.id]


def test_names_are_flushed_when_the_store_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found counts: the log is compacted behind it."""
    make(SnapshotStore(tmp_path), 3)
    monkeypatch.setattr("quorate.storage.atomic.fsync_dir", _failing(tmp_path))
    with pytest.raises(QuorateError, match=f"cannot flush {tmp_path}: Input/output error"):
        SnapshotStore(tmp_path)


@pytest.mark.parametrize("state", [b"", b"abcd", b"abcdefg"])
def test_exactly_what_was_announced_is_taken(tmp_path: Path, state: bytes) -> None:
    store = SnapshotStore(tmp_path)
    old = make(store, 3)
    sink = store.create(5, 2, CONFIGURATION, 1, 3000, size=5)

    def receive() -> None:
        sink.write(state)
        sink.finish()

    with pytest.raises(QuorateError, match="announced with 5 bytes, and"):
        receive()
    assert names(tmp_path) == [old.id]
    assert store.newest() == old


def test_a_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    old = make(store, 3)
    seen = []

    def check(read: Callable[[int], bytes]) -> None:
        seen.append(read(100))
        if seen[-1] == b"wrong":
            raise LogDamaged("no state", path="x")

    sink = store.create(5, 2, CONFIGURATION, 1, 3000)
    sink.write(b"wrong")
    with pytest.raises(LogDamaged, match="no state"):
        sink.finish(check=check)
    assert names(tmp_path) == [old.id]
    with store.create(5, 2, CONFIGURATION, 1, 3000) as sink:
        sink.write(b"right")
        new = sink.finish(check=check)
    assert seen == [b"wrong", b"right"]
    assert store.newest() == new


def test_size_that_no_state_has(tmp_path: Path) -> None:
    for size in (SNAPSHOT_BYTES_MAX + 1, 1 << 62, -1):
        with pytest.raises(QuorateError, match=f"a snapshot of {size} bytes was announced"):
            SnapshotStore(tmp_path).create(5, 2, CONFIGURATION, 1, 3000, size=size)
    assert names(tmp_path) == []


def test_size_that_does_not_fit(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    store = SnapshotStore(tmp_path, reserve_bytes=1 << 20)
    with pytest.raises(StorageFull, match=f"no room in {tmp_path} for a snapshot of {free} bytes"):
        store.check_room(free)
    store.check_room(1000)
    assert names(tmp_path) == []


def test_found_by_index_and_term(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, retain=1)
    assert store.newest() is None
    make(store, 3)
    meta = make(store, 5)
    assert store.find(5, 1) == store.newest() == meta
    for index, term in ((3, 1), (5, 2)):
        with pytest.raises(
            QuorateError,
            match=rf"no snapshot of index {index} and term {term}; it "
            r"has 5 of term 1",
        ):
            store.find(index, term)
