"""Another program cuts a log: what was acknowledged is there at the next start, or it is missed.

A crash of the machine takes away what was not flushed, the growth of a file too. It never makes a
file smaller than it durably was, and takes no file away that the log has gone on in. So what looks
like the shorter log of an earlier day is none: its server has voted, and acknowledged entries, that
it does not know of any more.
"""

from __future__ import annotations

import os
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN
from storage_builders import data_file, dump, entries

from quorate.errors import LogDamaged, QuorateError
from quorate.raft.values.messages import HardState
from quorate.storage.log import records, segment
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import FRAME
from quorate.storage.log.reading import LogReader
from quorate.storage.log.records import BOUND_NAME
from quorate.storage.log.scrub import LogScrub
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.testing.sim.machines.sectors import CutError, SectorDisk

PIECE = LogFiles.piece


class SmallFiles(LogFiles):
    segment_bytes = 4096
    piece = 1024


WRITES = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 300, 900, 2500]), max_size=4),
        st.booleans(),  # with term and vote
        st.booleans(),  # compacted
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(writes=WRITES)
def test_no_cut_is_taken_for_a_shorter_log(writes: list[tuple[list[int], bool, bool]]) -> None:
    """All sizes that a sector begins at, of each file as if it were the newest that is left."""
    sectors = SectorDisk()
    store = LogStore.open_files(SmallFiles(Path("log"), sectors))
    for term, (sizes, votes, compacts) in enumerate(writes, 1):
        last = store.last_index() or store.base()[0]
        new = [entries(last + n, 1, term, size)[0] for n, size in enumerate(sizes, 1)]
        store.write(
            WriteBatch(
                entries=new,
                hard_state=HardState(term, "a", term) if votes else None,
                compact_to=last if compacts and new else None,
            )
        )
    said = dump(store)
    names = sorted(sectors.files)
    for kept in range(1, len(names) + 1):
        size = len(sectors.files[names[kept - 1]].content)
        for cut in range(0 if kept > 1 else FRAME, size + 1, FRAME):
            left = deepcopy(sectors)
            for name in names[kept:]:
                left.cut(name, 0)
            if cut:
                left.cut(names[kept - 1], cut)
            else:
                left.files[names[kept - 1]].content.clear()
            try:
                found = dump(LogStore.open_files(SmallFiles(Path("log"), left)))
            except LogDamaged:
                assert (kept, cut) != (len(names), size), "nothing was cut"
            else:
                assert found == said, f"{kept} of {len(names)} files, {cut} of {size} bytes"


def filled(folder: Path, writes: int = 5) -> tuple[object, ...]:
    """A log of one file; what it says."""
    store = LogStore.open(folder)
    for number in range(writes):
        store.write(WriteBatch(entries=entries(1 + number, 1, 1, 70_000)))
    said = dump(store)
    store.close()
    return said


@pytest.mark.parametrize(("pieces", "left"), [(1, 1), (2, 3), (3, 5)])
def test_a_file_cut_at_a_size_that_it_once_had_is_named(
    tmp_path: Path, pieces: int, left: int
) -> None:
    filled(tmp_path)
    file = data_file(tmp_path)
    size = file.stat().st_size
    os.truncate(file, pieces * PIECE)
    with pytest.raises(
        LogDamaged, match=rf"{pieces * PIECE} bytes are left of {size} or more"
    ) as e:
        LogStore.open(tmp_path)
    assert e.value.next_step.startswith(f"move the folder {tmp_path.parent} away")
    with LogReader(tmp_path) as log:
        assert log.damage is not None
        assert log.extent.last_index == left


def test_a_file_that_was_cut_and_filled_with_zeros_is_named(tmp_path: Path) -> None:
    """Up to where it was durable when it last grew."""
    filled(tmp_path)
    file = data_file(tmp_path)
    size = file.stat().st_size
    os.truncate(file, PIECE)
    os.truncate(file, size)
    with pytest.raises(LogDamaged, match=r"its records end at byte \d+, they reached to \d+ or"):
        LogStore.open(tmp_path)


def test_vote_that_was_cut_off_is_missed(tmp_path: Path) -> None:
    """Votes fill the room that entries leave; the file grows, and is cut to its size before."""
    store = LogStore.open(tmp_path)
    file = data_file(tmp_path)
    size = file.stat().st_size
    for term in range(1, size // FRAME + 2):
        store.write(WriteBatch(hard_state=HardState(term, "a", term)))
    store.close()
    os.truncate(file, size)
    with pytest.raises(LogDamaged, match=r"it was cut"):
        LogStore.open(tmp_path)


def test_newest_files_that_are_gone_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogFiles, "segment_bytes", 100_000)
    filled(tmp_path / "log", 7)
    files = segments_in(tmp_path / "log")
    assert len(files) == 4
    for count in (3, 2, 1):
        files[count].unlink()
        for made in (False, True):  # one that a crash left of the making of the next file
            if made:
                files[count].write_bytes(bytes(PIECE))
            with pytest.raises(LogDamaged, match=r"behind it is missing|its records are missing"):
                LogStore.open(tmp_path / "log")
            files[count].unlink(missing_ok=True)


def test_a_start_makes_durable_that_a_file_is_followed(tmp_path: Path) -> None:
    """The process was killed between the first record of a file and the mark in the one before."""
    sectors = SectorDisk()
    files = SmallFiles(Path("log"), sectors)
    store = LogStore.open_files(files)
    for index in range(1, 8):
        store.write(WriteBatch(entries=entries(index, 1, 1, 400)))
    assert len(sectors.files) == 1
    sectors.cut_after(2)
    with pytest.raises(CutError):
        store.write(WriteBatch(entries=entries(8, 1, 1, 400)))
    sectors.restart()
    assert LogStore.open_files(files).last_index() == 8
    sectors.cut("0000000002.segment", 0)
    with pytest.raises(LogDamaged, match="the file behind it is missing"):
        LogStore.open_files(files)


def test_a_file_that_does_not_take_the_mark_ends_the_writer(tmp_path: Path) -> None:
    """The new file stays: the old one may say that it is there. No room is no reason to go on."""
    sectors = SectorDisk()
    files = SmallFiles(Path("log"), sectors)
    store = LogStore.open_files(files)
    for index in range(1, 8):
        store.write(WriteBatch(entries=entries(index, 1, 1, 400)))
    sectors.fail_after(2)
    with pytest.raises(QuorateError, match=r"cannot write log/0000000001.segment: Input/output"):
        store.write(WriteBatch(entries=entries(8, 1, 1, 400)))
    sectors.restart()
    assert LogStore.open_files(files).last_index() == 8


def cut_is_named(folder: Path) -> None:
    """Write so much that the newest file grows, and cut off the last piece but the spare one."""
    store = LogStore.open(folder)
    last = store.last_index() or store.base()[0]
    term = store.term(last)
    assert term is not None
    for number in range(1, 4):
        store.write(WriteBatch(entries=entries(last + number, 1, term, 70_000)))
    assert store.meta(BOUND_NAME) is None
    said = dump(store)
    store.close()
    newest = segments_in(folder)[-1]
    os.truncate(newest, newest.stat().st_size - 2 * PIECE)
    with pytest.raises(LogDamaged, match="it was cut"):
        LogStore.open(folder)
    assert LogReader(folder).extent.last_index < last + 3
    assert said[2] == last + 3


def test_the_log_of_an_older_version_says_it_from_its_next_write_on(tmp_path: Path) -> None:
    """Of level 0: one file, which has place for what it is to say."""
    shutil.unpack_archive(GOLDEN / "folders" / "level-0" / "folders.tar.gz", tmp_path)
    folder = tmp_path / "s0" / "server" / "raft" / "log"
    cut_is_named(folder)
    assert len(segments_in(folder)) == 1


def test_a_later_file_of_an_older_version_is_followed_by_one_that_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no place for it behind its head. Entries of the next write go into another file."""
    with monkeypatch.context() as older:
        older.setattr(LogFiles, "segment_bytes", 100_000)
        older.setattr(records, "bound_item", lambda _bound: b"")
        older.setattr(segment, "with_bound", lambda _head, _bound: None)
        said = filled(tmp_path / "log")
    files = segments_in(tmp_path / "log")
    assert len(files) == 3
    contents = [file.read_bytes() for file in files]
    store = LogStore.open(tmp_path / "log")
    assert dump(store) == said
    store.write(WriteBatch(hard_state=HardState(9, "a", 9)))
    store.close()
    assert files[1].read_bytes() == contents[1]
    cut_is_named(tmp_path / "log")
    assert len(segments_in(tmp_path / "log")) == 4


def test_an_older_version_keeps_what_it_does_not_know_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes it for a meta, and writes that of an earlier file into later ones."""
    filled(tmp_path / "log", 2)
    with monkeypatch.context() as older:
        older.setattr(LogFiles, "segment_bytes", 100_000)
        older.setattr(records, "read_bound", lambda _name, _value: None)
        older.setattr(records, "bound_item", lambda _bound: b"")
        older.setattr(segment, "with_bound", lambda _head, _bound: None)
        store = LogStore.open(tmp_path / "log")
        assert store.meta(BOUND_NAME) is not None
        for index in (3, 4, 5):
            store.write(WriteBatch(entries=entries(index, 1, 1, 70_000)))
        assert store.meta(BOUND_NAME) is not None
        store.close()
    assert len(segments_in(tmp_path / "log")) == 3
    cut_is_named(tmp_path / "log")


class Counting(SectorDisk):
    flushes = 0

    def fdatasync(self, fd: int, /) -> None:
        self.flushes += 1
        super().fdatasync(fd)


@pytest.mark.parametrize(("size", "more"), [(100, 0), (1500, 0), (200_000, 0), (900_000, 1)])
def test_a_write_is_one_flush(size: int, more: int) -> None:
    """One more for the first that is larger than what a file has ahead, and one for each file."""
    sectors = Counting()
    store = LogStore.open_files(LogFiles(Path("log"), sectors))
    before, writes = sectors.flushes, 5_000_000 // size if size > 1500 else 700
    for index in range(1, writes + 1):
        store.write(WriteBatch(entries=entries(index, 1, 1, size)))
    assert sectors.flushes - before == writes + more + len(sectors.files) - 1


def test_a_file_cut_under_a_running_server_is_named(tmp_path: Path) -> None:
    """By the next look at the log at rest, which once stopped there without a word."""
    store = LogStore.open(tmp_path)
    for number in range(5):
        store.write(WriteBatch(entries=entries(1 + number, 1, 1, 70_000)))
    scrub = LogScrub(store)
    pieces = scrub.pieces()

    def look() -> None:
        for _ in range(pieces):
            scrub.piece()

    look()
    assert scrub.rounds
    os.truncate(data_file(tmp_path), PIECE)
    with pytest.raises(LogDamaged, match=r"entry 2 in .* is damaged"):
        look()
    store.close()
