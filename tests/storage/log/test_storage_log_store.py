"""The log store: what a batch does, what can be read after it, what lies on the disk."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from threading import Thread
from time import process_time

import pytest
from storage_builders import NO_LIMIT, all_entries, data_file, dump, entries, entry

from quorate.errors import QuorateError
from quorate.raft.values.messages import Entry, EntryKind, HardState
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.wire.raft.entries import encode_entry

VOTE = HardState(term=3, voted_for="10.0.0.1:4647", vote_term=2)


def reopened(store: LogStore, path: Path) -> LogStore:
    """The same store after a restart, which changes nothing."""
    before = dump(store)
    store.close()
    again = LogStore.open(path)
    assert dump(again) == before
    return again


def test_new_store_is_empty_and_small(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path / "deep" / "log")
    assert (store.first_index(), store.last_index(), store.base()) == (0, 0, (0, 0))
    assert (store.term(0), store.term(1)) == (0, None)
    assert store.entries(1, 2, NO_LIMIT) == []
    assert store.hard_state() == HardState(0, "", 0)
    assert store.meta("x") is None
    assert store.size_bytes() == 2 * LogFiles.piece
    assert data_file(tmp_path / "deep" / "log").stat().st_mode & 0o777 == 0o600
    reopened(store, tmp_path / "deep" / "log").close()


BATCHES = [
    # (batch on a log of terms 1 1 2 2 3 at 1..5; base; first and last; terms from the base on)
    ("nothing", WriteBatch(), (0, 0), (1, 5), [0, 1, 1, 2, 2, 3]),
    ("append", WriteBatch(entries=entries(6, 2, 4)), (0, 0), (1, 7), [0, 1, 1, 2, 2, 3, 4, 4]),
    ("truncate", WriteBatch(truncate_from=4), (0, 0), (1, 3), [0, 1, 1, 2]),
    ("truncate all", WriteBatch(truncate_from=1), (0, 0), (0, 0), [0]),
    ("truncate behind the end", WriteBatch(truncate_from=9), (0, 0), (1, 5), [0, 1, 1, 2, 2, 3]),
    (
        "truncate, then append",
        WriteBatch(truncate_from=3, entries=entries(3, 2, 7)),
        (0, 0),
        (1, 4),
        [0, 1, 1, 7, 7],
    ),
    ("compact", WriteBatch(compact_to=2), (2, 1), (3, 5), [1, 2, 2, 3]),
    ("compact inside a term", WriteBatch(compact_to=3), (3, 2), (4, 5), [2, 2, 3]),
    ("compact all", WriteBatch(compact_to=5), (5, 3), (0, 0), [3]),
    ("compact beyond the end", WriteBatch(compact_to=99), (5, 3), (0, 0), [3]),
    (
        "append, then compact to the new end",
        WriteBatch(entries=entries(6, 1, 3), compact_to=6),
        (6, 3),
        (0, 0),
        [3],
    ),
    ("reset", WriteBatch(reset_to=(90, 8)), (90, 8), (0, 0), [8]),
    (
        "reset, then append",
        WriteBatch(reset_to=(90, 8), entries=entries(91, 2, 9)),
        (90, 8),
        (91, 92),
        [8, 9, 9],
    ),
    (
        "everything at once",
        WriteBatch(
            reset_to=(90, 8),
            truncate_from=91,
            entries=entries(91, 3, 9),
            hard_state=VOTE,
            compact_to=91,
            meta={"x": b"y"},
        ),
        (91, 9),
        (92, 93),
        [9, 9, 9],
    ),
]


@pytest.mark.parametrize(
    ("batch", "base", "bounds", "terms"), [b[1:] for b in BATCHES], ids=[b[0] for b in BATCHES]
)
def test_batch(
    tmp_path: Path,
    batch: WriteBatch,
    base: tuple[int, int],
    bounds: tuple[int, int],
    terms: list[int],
) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=[*entries(1, 2, 1), *entries(3, 2, 2), entry(5, 3)]))
    store.write(batch)
    store = reopened(store, tmp_path)
    assert store.base() == base
    assert (store.first_index(), store.last_index()) == bounds
    last = bounds[1] or base[0]
    assert [store.term(index) for index in range(base[0], last + 1)] == terms
    assert (store.term(base[0] - 1), store.term(last + 1)) == (None, None)
    assert [e.term for e in all_entries(store)] == terms[1:]
    assert store.hard_state() == (batch.hard_state or HardState())
    assert store.meta("x") == batch.meta.get("x")
    store.close()


@pytest.mark.parametrize(
    "batch",
    [
        WriteBatch(entries=entries(7, 1), meta={"x": b"1"}),  # a hole
        WriteBatch(entries=entries(5, 2), meta={"x": b"1"}),  # an overlap
        WriteBatch(entries=[entry(6), entry(8)], meta={"x": b"1"}),  # a hole inside
        WriteBatch(entries=[entry(6, 0)], meta={"x": b"1"}),  # a term that falls
        WriteBatch(truncate_from=2, meta={"x": b"1"}),  # into what was compacted
        WriteBatch(reset_to=(9, 1), entries=entries(6, 1), meta={"x": b"1"}),
    ],
    ids=["hole", "overlap", "hole inside", "falling term", "compacted", "before the base"],
)
def test_batch_that_would_break_the_log_is_refused_whole(tmp_path: Path, batch: WriteBatch) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 5), compact_to=2))
    before = dump(store)
    with pytest.raises(AssertionError):
        store.write(batch)
    assert dump(store) == before
    reopened(store, tmp_path).close()


@pytest.mark.parametrize(
    ("low", "high", "max_bytes", "found"),
    [
        (3, 6, NO_LIMIT, [3, 4, 5]),
        (3, 99, NO_LIMIT, [3, 4, 5, 6]),
        (6, 7, NO_LIMIT, [6]),
        (3, 3, NO_LIMIT, []),
        (4, 3, NO_LIMIT, []),
        (2, 6, NO_LIMIT, []),  # compacted
        (0, 6, NO_LIMIT, []),
        (7, 9, NO_LIMIT, []),  # behind the end
        (3, 99, 0, [3]),  # at least one
        (3, 99, 1, [3]),
        (3, 99, -2, [3, 4]),  # exactly two
        (3, 99, -3, [3, 4, 5]),
    ],
)
def test_entries(tmp_path: Path, low: int, high: int, max_bytes: int, found: list[int]) -> None:
    store = LogStore.open(tmp_path)
    written = entries(1, 6)
    store.write(WriteBatch(entries=written, compact_to=2))
    if max_bytes < 0:
        max_bytes = -max_bytes * len(encode_entry(written[3]))
    assert store.entries(low, high, max_bytes) == [written[index - 1] for index in found]
    store.close()


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    written = [
        Entry(1, 1, EntryKind.CONFIGURATION, b"c", b"ext", 1_700_000_000_123_456_789),
        Entry(2, 1, EntryKind.NOOP),
        Entry(3, 2, EntryKind.COMMAND, bytes(range(256)) * 5000),  # many pages long
    ]
    store.write(WriteBatch(entries=written))
    store = reopened(store, tmp_path)
    read = all_entries(store)
    assert read == written
    assert [e.appended_at for e in read] == [e.appended_at for e in written]
    assert [e.encoded for e in read] == [encode_entry(e) for e in written]
    store.close()


def test_meta_is_replaced_key_by_key(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(meta={"x": b"1", "y": b""}))
    store.write(WriteBatch(meta={"x": b"2"}))
    store = reopened(store, tmp_path)
    assert (store.meta("x"), store.meta("y"), store.meta("z")) == (b"2", b"", None)
    store.close()


def test_pain_21_disk_use_of_a_compacted_log_is_bounded(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    kept, written, last = 1_000_000, 0, 0
    bound = kept + 2 * LogFiles.segment_bytes
    while written < 5 * bound:
        batch = entries(last + 1, 100, size=1000 if last % 700 else 5000)
        last += 100
        store.write(WriteBatch(entries=batch, compact_to=last - 200))
        written += sum(len(e.data) for e in batch)
        assert store.size_bytes() < bound
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == store.size_bytes()
    reopened(store, tmp_path).close()


def test_files_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file's head must say, so that the files before it can go: all but the entries."""
    monkeypatch.setattr(LogFiles, "segment_bytes", 5000)
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(hard_state=VOTE, meta={"x": b"kept", "y": b""}))
    for index in range(1, 41):
        store.write(WriteBatch(entries=[entry(index, 1 + index // 10)]))
    names = [file.name for file in segments_in(tmp_path)]
    assert names == [f"{n:010d}.segment" for n in range(1, 6)]
    store.write(WriteBatch(truncate_from=38, entries=[entry(38, 7)], compact_to=25))
    assert [file.name for file in segments_in(tmp_path)] == names[2:]
    store = reopened(store, tmp_path)
    assert (store.base(), store.last_index(), store.term(38)) == ((25, 3), 38, 7)
    assert (store.hard_state(), store.meta("x"), store.meta("y")) == (VOTE, b"kept", b"")
    store.write(WriteBatch(reset_to=(30, 4), entries=entries(31, 2, 7)))
    assert [file.name for file in segments_in(tmp_path)] == names[-1:]
    store = reopened(store, tmp_path)
    assert [e.index for e in all_entries(store)] == [31, 32]
    store.close()


def test_entries_replaced_over_a_file_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file that is left replaces entries of files that are gone."""
    monkeypatch.setattr(LogFiles, "segment_bytes", 2000)
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=[*entries(1, 9), *entries(10, 10, size=100)]))
    store.write(WriteBatch(truncate_from=15, entries=entries(15, 3, 2)))  # the second file
    store.write(WriteBatch(truncate_from=15))
    store.write(WriteBatch(entries=entries(15, 8, 3, size=300)))
    store.write(WriteBatch(entries=entries(23, 1, 3)))
    assert len(segments_in(tmp_path)) == 3
    for base in (17, 20, 22):
        store.write(WriteBatch(compact_to=base))
        store = reopened(store, tmp_path)
        assert store.base() == (base, 3)
    assert len(segments_in(tmp_path)) == 1
    store.close()


def test_file_whose_removal_the_disk_forgot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogFiles, "segment_bytes", 2000)
    store = LogStore.open(tmp_path)
    for index in range(1, 30):
        store.write(WriteBatch(entries=[entry(index)]))
    oldest = segments_in(tmp_path)[0]
    content = oldest.read_bytes()
    store.write(WriteBatch(compact_to=20))
    assert segments_in(tmp_path)[0] > oldest.with_name("0000000003")
    oldest.write_bytes(content)
    store = reopened(store, tmp_path)
    assert not oldest.exists()
    assert [e.index for e in all_entries(store)] == list(range(21, 30))
    store.close()


def test_opening_takes_time_in_proportion_to_a_record(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 16, size=1 << 20)))
    store.close()
    began = process_time()
    LogStore.open(tmp_path).close()
    assert process_time() - began < 3  # 0.1 on an idle machine; 13 when it grew with the square


def test_a_file_that_cannot_be_removed_leaves_no_gap_and_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogFiles, "segment_bytes", 2000)
    store = LogStore.open(tmp_path)
    for index in range(1, 31):
        store.write(WriteBatch(entries=[entry(index)]))
    paths = segments_in(tmp_path)
    assert len(paths) > 4
    unlink = os.unlink

    def refused(path: Path) -> None:
        if path == paths[1]:
            raise PermissionError(1, "Operation not permitted")
        unlink(path)

    with monkeypatch.context() as refusal:
        refusal.setattr(os, "unlink", refused)
        store.write(WriteBatch(compact_to=20))
        assert segments_in(tmp_path) == paths[1:]
        store = reopened(store, tmp_path)
        store.write(WriteBatch(compact_to=21))
        assert segments_in(tmp_path) == paths[1:]
    store.write(WriteBatch(compact_to=22))
    assert len(segments_in(tmp_path)) < 4
    assert [e.index for e in all_entries(store)] == list(range(23, 31))
    store.close()


def test_write_flushes_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore.open(tmp_path)
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    monkeypatch.setattr(os, "fsync", flushed.append)
    for index in range(1, 4):
        store.write(WriteBatch(entries=[entry(index)], hard_state=HardState(index, "a", index)))
        assert len(flushed) == index
    store.close()


def test_reader_sees_whole_writes_while_another_thread_writes(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 10)))

    def write() -> None:
        for term in range(2, 120):
            last = store.last_index()
            store.write(
                WriteBatch(
                    truncate_from=last - 2,
                    entries=entries(last - 2, 8, term),
                    compact_to=last - 5,
                    hard_state=HardState(term, "a", term),
                )
            )
        store.write(WriteBatch(reset_to=(10_000, 500)))

    writer = Thread(target=write)
    writer.start()
    rounds = 0
    while store.base()[0] != 10_000:
        first = store.first_index()
        read = store.entries(first, first + 100, NO_LIMIT)
        assert [e.index for e in read] == list(range(first, first + len(read)))
        assert all(a.term <= b.term for a, b in pairwise(read))
        assert all(e.data == b"entry %d" % e.index for e in read)
        rounds += 1
        assert writer.is_alive() or store.base()[0] == 10_000
    writer.join()
    assert rounds > 0
    reopened(store, tmp_path).close()


def test_closed_store_says_so(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 3)))
    store.close()
    with pytest.raises(QuorateError, match=r"cannot write the log in .*: it is closed"):
        store.write(WriteBatch(entries=entries(4, 1)))
    with pytest.raises(QuorateError, match=r"cannot read the log in .*: it is closed"):
        store.entries(1, 2, NO_LIMIT)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(QuorateError, match=r"cannot open the log in .*: File exists"):
        LogStore.open(tmp_path / "file" / "log")


def test_term_and_vote_that_were_overtaken_change_nothing(tmp_path: Path) -> None:
    """A full disk writes term and vote ahead; the entries follow with those of their time."""
    store = LogStore.open(tmp_path)
    newest = HardState(4, "b", 4)
    store.write(WriteBatch(hard_state=newest))
    for older in (HardState(3), HardState(3, "a", 3), HardState(4, "a", 3)):
        store.write(WriteBatch(entries=entries(store.last_index() + 1, 1), hard_state=older))
        assert store.hard_state() == newest
    store.close()
    again = LogStore.open(tmp_path)
    assert (again.hard_state(), again.last_index()) == (newest, 3)
    again.close()
