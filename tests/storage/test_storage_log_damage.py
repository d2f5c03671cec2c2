"""Pain 24: what is damaged on disk is named when the log is opened or read, and never loaded."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from storage_builders import NO_LIMIT, data_file, dump, entries, entry, flip_all

from quorate.errors import LogDamaged
from quorate.raft.messages import HardState
from quorate.storage.log_format import entry_key, entry_record
from quorate.storage.log_store import LogStore, WriteBatch

PAGE = 4096
LARGE = 20_000  # on pages of its own


def make(folder: Path) -> None:
    """A store with every kind of record, written in several transactions."""
    store = LogStore.open(folder)
    store.write(WriteBatch(entries=entries(1, 3)))
    store.write(WriteBatch(entries=[entry(4, 2, b"large" * (LARGE // 5))]))
    store.write(WriteBatch(entries=entries(5, 40, 3, size=300), meta={"x": b"precious"}))
    store.write(WriteBatch(hard_state=HardState(7, "10.1.2.3:4647", 6)))
    store.write(WriteBatch(compact_to=1))
    store.close()


@pytest.mark.parametrize(
    ("content", "named", "index"),
    [
        (b"entry 3", "entry 3 in .*: its checksum does not match", 3),
        (b"large" * 100, "entry 4 in .*: its checksum does not match", 4),
        (b"precious", "meta/x in .*: its checksum does not match", None),
        (b"10.1.2.3:4647", "LastVoteCand in .*: its checksum does not match", None),
    ],
)
def test_flipped_value_is_named(
    tmp_path: Path, content: bytes, named: str, index: int | None
) -> None:
    make(tmp_path)
    assert flip_all(data_file(tmp_path), content) > 0
    with pytest.raises(LogDamaged, match=named) as caught:
        LogStore.open(tmp_path)
    assert caught.value.path == str(data_file(tmp_path))
    assert caught.value.index == index
    cure = "keep the folder" if index is None else f"move the folder {tmp_path.parent} away"
    assert caught.value.next_step.startswith(cure)


def test_value_flipped_under_a_running_server_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    store = LogStore.open(tmp_path)
    flip_all(data_file(tmp_path), b"entry 3")
    assert [e.index for e in store.entries(2, 3, NO_LIMIT)] == [2]
    with pytest.raises(LogDamaged, match="entry 3 in ") as caught:
        store.entries(2, 9, NO_LIMIT)
    assert caught.value.index == 3
    store.close()


def test_no_flipped_byte_is_ever_loaded(tmp_path: Path) -> None:
    """Whatever byte of the file is changed: it is found, or it is one that nobody reads."""
    make(tmp_path / "good")
    store = LogStore.open(tmp_path / "good")
    good = dump(store)
    store.close()
    content = data_file(tmp_path / "good").read_bytes()
    rng = random.Random(20_260_101)
    # The pages that LMDB navigates by are small; give their bytes more than their share.
    places = [page + rng.randrange(170) for page in range(0, len(content), PAGE) for _ in range(5)]
    places += [rng.randrange(len(content)) for _ in range(200)]
    found = 0
    bad = tmp_path / "bad"
    bad.mkdir()
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= rng.randrange(1, 256)
        data_file(bad).write_bytes(damaged)
        try:
            store = LogStore.open(bad)
        except LogDamaged:
            found += 1
            continue
        assert dump(store) == good, place
        store.close()
    assert found > 100


@pytest.mark.parametrize("size", [1, 100, PAGE, PAGE + 100, 5 * PAGE, 10 * PAGE + 7])
def test_shortened_file_is_named(tmp_path: Path, size: int) -> None:
    make(tmp_path)
    with data_file(tmp_path).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(LogDamaged, match=r"data\.mdb is damaged"):
        LogStore.open(tmp_path)


def test_last_write_cannot_be_lost_by_a_flip_in_its_number(tmp_path: Path) -> None:
    """LMDB opens the newer of two states by their numbers: a lower number must not win quietly."""
    make(tmp_path)
    content = bytearray(data_file(tmp_path).read_bytes())
    number_at = 16 + 24 + 2 * 48 + 8
    numbers = [struct.unpack_from("=Q", content, page + number_at)[0] for page in (0, PAGE)]
    newest = numbers.index(max(numbers))
    struct.pack_into("=Q", content, newest * PAGE + number_at, max(numbers) - 4)
    data_file(tmp_path).write_bytes(content)
    with pytest.raises(LogDamaged, match="transaction"):
        LogStore.open(tmp_path)


def _delete(key: bytes) -> Callable[[lmdb.Transaction[bytes]], None]:
    return lambda txn: assert_true(txn.delete(key))


def _put(key: bytes, value: bytes) -> Callable[[lmdb.Transaction[bytes]], None]:
    return lambda txn: assert_true(txn.put(key, value))


def assert_true(done: bool) -> None:
    assert done


FORGED = [
    # (case, database, change, what is said)
    ("hole", b"logs", _delete(entry_key(20)), "entry 20 in .*: it is missing"),
    ("first one gone", b"logs", _delete(entry_key(2)), "entry 2 in .*: it is missing"),
    ("swapped", b"logs", _put(entry_key(9), entry_record(entry(8))[1]), "entry 9 in .*: its check"),
    ("term falls", b"logs", _put(*entry_record(entry(20, 2))), "entry 20 in .*: its term 2 is bel"),
    ("too short", b"logs", _put(entry_key(20), b"abc"), "entry 20 in .*: it has 3 bytes only"),
    ("empty", b"logs", _put(entry_key(20), b""), "entry 20 in .*: it has 0 bytes only"),
    ("no layout", b"conf", _delete(b"Format"), "its layout is missing"),
    ("no vote", b"conf", _delete(b"LastVoteCand"), "term and vote are not whole"),
    ("no base", b"conf", _delete(b"LogBase"), "entry 1 in .*: it is missing"),
]


@pytest.mark.parametrize(
    ("database", "change", "said"), [f[1:] for f in FORGED], ids=[f[0] for f in FORGED]
)
def test_record_that_does_not_fit_is_named(
    tmp_path: Path,
    database: bytes,
    change: Callable[[lmdb.Transaction[bytes]], None],
    said: str,
) -> None:
    make(tmp_path)
    with lmdb.open(str(tmp_path), max_dbs=2, map_size=1 << 30) as env:
        db = env.open_db(database)
        with env.begin(db, write=True) as txn:
            change(txn)
    with pytest.raises(LogDamaged, match=said):
        LogStore.open(tmp_path)


def test_entry_that_is_another_one_is_not_returned(tmp_path: Path) -> None:
    """A value with a right checksum around a wrong entry: a bug of ours, found all the same."""
    store = LogStore.open(tmp_path)
    wrong = entry(1, 5)
    wrong.encoded = entry_record(entry(2, 5))[1][13:]
    store.write(WriteBatch(entries=[wrong]))
    with pytest.raises(LogDamaged, match=r"entry 1 in .*: it holds entry 2 of term 5"):
        store.entries(1, 2, NO_LIMIT)
    broken = entry(2, 5)
    broken.encoded = b"\xc1"
    store.write(WriteBatch(entries=[broken]))
    with pytest.raises(LogDamaged, match=r"entry 2 in .*: "):
        store.entries(2, 3, NO_LIMIT)
    store.close()


def test_file_of_something_else_is_named(tmp_path: Path) -> None:
    data_file(tmp_path).write_bytes(b"not a log at all" * 1000)
    with pytest.raises(LogDamaged, match=r"data\.mdb is damaged: not an LMDB data file"):
        LogStore.open(tmp_path)


def test_store_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    data_file(tmp_path).touch()
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 1)))
    store.close()
    LogStore.open(tmp_path).close()
