"""The durable log of a server with its term and vote: records in files that only grow.

Invariants:
- `write` is one record and one flush of the disk: after it returns, all of the batch is on disk;
  when it raises, and whenever the process or the machine dies before it returns, all or nothing of
  it is. What Raft must have on disk before it answers (Figure 2: currentTerm, votedFor, log[])
  goes through one such call.
- Nothing that fails its checksum is ever returned, and no damage is taken for the end of the log
  (layout: `log_frames`, `log_records`; opening: `log_replay`).
- One thread writes at a time, others may read meanwhile: they see the state before or after a
  write. Only the short moment in which a finished write is entered here is locked for readers.

Same three stable values as hashicorp/raft (docs/wire.md#stable-values). Differs in that vote and
entries share a write, and in the checksums. The entries themselves stay on the disk, in the
encoding in which they travel; in memory are their places (`log_places`) and their terms
(`log_extent`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from quorate.errors import LogDamaged, QuorateError, WrongDataFolder
from quorate.given_files import opened
from quorate.raft.values.messages import Entry, HardState
from quorate.storage.atomic import fsync_dir, make_dir
from quorate.storage.disk_errors import clear_error, clear_errors
from quorate.storage.log import records as log_records
from quorate.storage.log.extent import LogExtent
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import BODY, FRAME, frame_record, is_unwritten, read_frame
from quorate.storage.log.places import LogPlaces, Place
from quorate.storage.log.records import (
    ENTRY_HEAD,
    Bound,
    Head,
    entry_damaged,
    log_damaged,
    read_entry,
)
from quorate.storage.log.replay import LogReplay
from quorate.storage.log.segment import Segment
from quorate.storage.log.write_batch import WriteBatch

__all__ = ["LogStore", "WriteBatch", "has_log"]

_LAYOUT_1_FILE: Final = "data.mdb"
_READ_MAX: Final = 1 << 20  # bytes of the disk that one read asks for
_PLACES: Final = 1 << 40  # a place for `check` is a segment's number times this, and an offset


def has_log(path: Path) -> bool:
    """True if something was ever durable in the log in `path`, whatever its health now.

    A file of zeros is what a crash leaves of the making of a log. Raises OSError.
    """
    return _has_layout_1(path) or any(
        not is_unwritten(_first_frame(file)) for file in segments_in(path)
    )


def _first_frame(file: Path) -> bytes:
    with opened(file) as found:
        return found.read(FRAME)


def _has_layout_1(path: Path) -> bool:
    file = path / _LAYOUT_1_FILE
    return file.exists() and file.stat().st_size > 0


def _newer(state: HardState, known: HardState) -> bool:
    """False for one that was overtaken."""
    return (state.term, state.vote_term) >= (known.term, known.vote_term)


class LogStore:
    """The log store in one folder. Made by `open`."""

    def __init__(self, files: LogFiles, replay: LogReplay) -> None:
        self._files = files
        self._folder = files.folder
        self._writing = Lock()
        self._entering = Lock()
        self._closed = False
        self._extent = replay.extent()
        self._places: LogPlaces = replay.places
        self._places.compact_to(self._extent.base_index)
        self._segments = deque(replay.segments)
        self._size = sum(segment.room for segment in self._segments)
        self._renew = False
        self._next_record = replay.next_record
        self._hard_state = replay.hard_state
        self._meta = replay.meta

    @classmethod
    def open(cls, path: Path) -> LogStore:
        """Open the store in folder `path`, or make one there, and check all of it.

        What is there counts from now on, so it is made durable again before this returns. The
        caller has made sure that nobody else uses the folder (see `DataFolder`). Takes about 3 us
        an entry. Raises LogDamaged, WrongDataFolder (another layout), StorageFull,
        QuorateError.
        """
        with clear_errors(f"open the log in {path}"):
            make_dir(path)
            fsync_dir(path.parent)  # the name, if the process that made it came no further
            if _has_layout_1(path):
                raise WrongDataFolder(
                    f"the log in {path} has layout 1, we read layout {log_records.LAYOUT}: "
                    "an older version of Quorate wrote it",
                    "start the version that wrote it, or move the folder away and let this "
                    "server be filled by its peers",
                )
        return cls.open_files(LogFiles(path))

    @classmethod
    def open_files(cls, files: LogFiles) -> LogStore:
        """The same with files that lie elsewhere, in a folder that is there."""
        replay = LogReplay()
        opened: list[Segment] = []
        with clear_errors(f"open the log in {files.folder}"):
            try:
                paths = segments_in(files.folder, files.system)
                for number, path in enumerate(paths, 1):
                    opened.append(files.open(path))
                    replay.take(opened[-1], is_last=number == len(paths))
                if opened and not opened[-1].size:
                    opened.pop().remove()  # what a crash left of its making
                if opened:
                    opened[-1].settle(replay.tail)
                for held, following in pairwise(replay.segments):
                    if not held.bound.followed or following is replay.segments[-1]:
                        held.follow()  # it may not have come to that, or its flush has failed
                store = cls(files, replay)
                for segment in replay.leftover:
                    opened.remove(segment)
                    with suppress(OSError):  # it is in nobody's way, and found at the next start
                        segment.remove()
                # A crash may have come between a compaction and the removal of its files.
                store._remove_compacted()
                opened = list(store._segments)
                if not replay.segments:
                    store._begin()
                fsync_dir(files.folder, files.system)  # a file that is gone must not come back
            except BaseException:
                for segment in opened:
                    segment.close()
                raise
        return store

    def _begin(self) -> None:
        """Make the first file of a new store."""
        self._next_record = 1
        segment = self._files.create(1)
        try:
            head = log_records.head_item(Head(log_records.LAYOUT, 0, 0, 0, 0))
            head += log_records.bound_item(Bound(1))
            segment.append(frame_record(1, head), spare=True)
        except BaseException:
            segment.remove()
            raise
        self._segments.append(segment)
        self._size = segment.room
        self._next_record = 2

    @property
    def path(self) -> Path:
        """The folder that holds the log."""
        return self._folder

    def close(self) -> None:
        """Give the files back. No other method may be used after it."""
        with self._writing, self._entering:
            if not self._closed:
                self._closed = True
                for segment in self._segments:
                    segment.close()

    # -- reading: on the event loop, while another thread may be in `write` -----------------------

    def first_index(self) -> int:
        """Index of the first entry; 0 if there is none."""
        extent = self._extent
        return 0 if extent.is_empty else extent.base_index + 1

    def last_index(self) -> int:
        """Index of the last entry; 0 if there is none."""
        extent = self._extent
        return 0 if extent.is_empty else extent.last_index

    def base(self) -> tuple[int, int]:
        """(index, term) of the last entry that compaction or `reset_to` took away, or (0, 0).

        The first entry of the log, now or later, has the index behind it.
        """
        return self._extent.base_index, self._extent.base_term

    def term(self, index: int) -> int | None:
        """Term of the entry at `index`, also of the base; None for any other index."""
        return self._extent.term(index)

    def hard_state(self) -> HardState:
        """Term and vote, as last written."""
        return self._hard_state

    def meta(self, key: str) -> bytes | None:
        """The small value kept under `key`, or None."""
        return self._meta.get(key)

    def size_bytes(self) -> int:
        """The bytes of all files together, with the room they hold for what comes next."""
        return self._size

    def excess(self, bytes_max: int) -> int:
        """The index up to which entries must go so that the other files take that many bytes.

        0 if they take no more now. The newest file always stays.
        """
        index, size = 0, self._size
        with self._entering:
            for segment in islice(self._segments, len(self._segments) - 1):
                if size <= bytes_max:
                    break
                size -= segment.room
                index = max(index, segment.last_index)
        return index

    def freed_by(self, index: int) -> int:
        """The bytes of the files that go when entries up to `index` are compacted."""
        freed = 0
        with self._entering:
            for segment in islice(self._segments, len(self._segments) - 1):
                if segment.last_index > index:
                    break
                freed += segment.room
        return freed

    def keep_below(self, bound: int) -> None:
        """Begin files soon enough that what is compacted of a bounded log goes with them; 0: none.

        From the next write on.
        """
        if bound:
            self._files.segment_bytes = min(self._files.segment_bytes, bound // 16)

    def renew(self) -> None:
        """Have the next compaction begin a file, so that older ones can go. From any thread."""
        self._renew = True

    def oldest_on_disk(self) -> int:
        """The lowest index of an entry that a file still holds, compacted or not; 0: none."""
        with self._entering:
            found = [segment.first_index for segment in self._segments if segment.first_index]
        return min(found, default=0)

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """The entries from `low` up to, not including, `high`, as far as the log has them.

        Stops before the travelling forms exceed `max_bytes` together, but gives at least one
        entry. Empty if `low` is not in the log. Raises LogDamaged, QuorateError.
        """
        with self._entering, self._open("read"):
            extent = self._extent
            if low not in extent or low >= high:
                return []
            wanted = self._wanted(low, min(high, extent.last_index + 1), max_bytes)
            found: list[Entry] = []
            while low < wanted:
                piece = self._read(low, wanted, extent)
                found += piece
                low += len(piece)
            return found

    def _wanted(self, low: int, high: int, max_bytes: int) -> int:
        """The index behind the last entry that `max_bytes` allow."""
        index, room = low, max_bytes
        while index < high:
            room -= self._places.place(index).size
            if room < 0 and index > low:
                break
            index += 1
        return index

    def _read(self, low: int, high: int, extent: LogExtent) -> list[Entry]:
        """At least the entry at `low`, and those that lie behind it in the same piece of a file."""
        first = self._places.place(low)
        run = [first]
        for index in range(low + 1, high):
            place = self._places.place(index)
            behind = run[-1].start + run[-1].size
            if place.segment != first.segment or not behind <= place.start < behind + BODY:
                break
            if place.start + place.size - first.start > _READ_MAX:
                break
            run.append(place)
        segment = self._segments[first.segment - self._segments[0].number]
        path = str(segment.path)
        data = segment.read(first.start, run[-1].start + run[-1].size)
        if data is None:
            self._name_damaged(segment, low, run)
            raise AssertionError  # the frames were damaged, so one entry's are
        found = []
        for index, place in enumerate(run, low):
            start = place.start - first.start
            encoded = data[start : start + place.size]
            found.append(read_entry(index, extent.term(index), encoded, path))
        return found

    def _name_damaged(self, segment: Segment, low: int, run: list[Place]) -> None:
        for index, place in enumerate(run, low):
            if segment.read(place.start, place.start + place.size) is None:
                raise entry_damaged(index, str(segment.path), "its checksum does not match")

    @contextmanager
    def _open(self, verb: str) -> Iterator[None]:
        """The store must be open; what the system refuses is said clearly."""
        self._check_open(verb)
        with clear_errors(f"{verb} the log in {self._folder}"):
            yield

    def _check_open(self, verb: str) -> None:
        if self._closed:
            raise QuorateError(f"cannot {verb} the log in {self._folder}: it is closed")

    # -- looking after what lies there: in any thread ---------------------------------------------

    def check(self, place: int, max_bytes: int) -> int:
        """Look at the checksums of up to `max_bytes` of what is durable, from `place` on.

        All of it counts: entries, also such as are gone but still lie there, term, vote and base,
        for at the next start all must be right. A place is what the last call returned, or 0
        for the beginning, which is also what is returned at the end. Raises LogDamaged.
        """
        with self._entering, self._open("read"):
            number, offset = divmod(place, _PLACES)
            first = self._segments[0].number
            if number < first:
                number, offset = first, 0
            segment = self._segments[number - first]
            wanted = min(max_bytes, segment.size - offset)  # a writer may add more meanwhile
            data = segment.frames(offset, wanted)
            is_last = segment is self._segments[-1]
        for at in range(0, wanted, FRAME):  # beyond the end of a file that was cut, too
            if read_frame(data[at : at + FRAME]) is None:
                raise self._damaged_at(segment, offset + at)
        offset += len(data)
        if offset < segment.size:
            return number * _PLACES + offset
        return 0 if is_last else (number + 1) * _PLACES

    def _damaged_at(self, segment: Segment, offset: int) -> LogDamaged:
        path, start = str(segment.path), offset // FRAME * BODY
        with self._entering:
            index = self._places.first_reaching(segment.number, start)
            inside = index is not None and self._places.place(index).start < start + BODY
        if inside and index is not None:
            return entry_damaged(index, path, "its checksum does not match")
        what = f"a checksum does not match at byte {offset}, where no entry lies that is in force"
        return log_damaged(f"{path} is damaged: {what}", path)

    # -- writing: in a worker thread --------------------------------------------------------------

    def write(self, batch: WriteBatch) -> None:
        """Make all of `batch` durable, or nothing.

        Raises StorageFull when there is no room: the store is as it was, and a later write may
        succeed. Raises QuorateError for anything else the disk says; what is on disk is then
        known only after opening the store again.

        Term and vote never fall: those of a batch that are older than what is here change nothing.
        A disk without room writes them ahead of the entries that came with them.
        """
        with self._writing:
            self._check_open("write")
            try:
                self._write(batch)
            except OSError as error:
                raise clear_error(error, f"write the log in {self._folder}") from error

    def _write(self, batch: WriteBatch) -> None:
        """`write`, while nobody else does. Raises OSError as well."""
        if batch.hard_state is not None and not _newer(batch.hard_state, self._hard_state):
            batch = msgspec.structs.replace(batch, hard_state=None)
        extent = self._extent_after(batch)
        segment = self._segments[-1]
        is_full = segment.size >= self._files.segment_bytes
        if (batch.entries and (is_full or segment.is_old)) or self._renewing(batch):
            segment = self._files.create(segment.number + 1)
            self._append(segment, batch, extent, self._heading(segment.number))
        else:
            self._append(segment, batch, extent, [])
        if batch.reset_to is not None or batch.compact_to is not None:
            self._remove_compacted()

    def _renewing(self, batch: WriteBatch) -> bool:
        """Whether a file is to be begun, although the last one is not full.

        Tried once: a disk without room for one must still be able to compact.
        """
        if not self._renew or batch.compact_to is None:
            return False
        self._renew = False
        return True

    def _heading(self, number: int) -> list[bytes]:
        """The items with which the file `number` begins: what all before it came to."""
        extent = self._extent
        head = Head(
            log_records.LAYOUT,
            extent.last_index,
            extent.last_term,
            extent.base_index,
            extent.base_term,
        )
        first = [log_records.head_item(head), log_records.bound_item(Bound(number))]
        state = log_records.hard_state_item(self._hard_state)
        return [*first, state, *log_records.meta_items(self._meta)]

    def _append(
        self, segment: Segment, batch: WriteBatch, extent: LogExtent, items: list[bytes]
    ) -> None:
        """Write `items` and the batch to the segment, and then let readers see it.

        A new file without a record goes. Once it has one, the file before it is to remember that
        before anybody is told: see `Segment.follow`.
        """
        if batch.reset_to is not None:
            items.append(log_records.reset_item(*batch.reset_to))
        if batch.truncate_from is not None:
            items.append(log_records.truncate_item(batch.truncate_from))
        entries_at = segment.size // FRAME * BODY + sum(map(len, items))
        forms = log_records.entry_items(batch.entries)
        items += forms
        if batch.hard_state is not None:
            items.append(log_records.hard_state_item(batch.hard_state))
        if batch.compact_to is not None:
            base = (extent.base_index, extent.base_term)
            if base != self.base():
                items.append(log_records.base_item(*base))
        if batch.meta:
            assert log_records.BOUND_NAME not in batch.meta
            items += log_records.meta_items(batch.meta)
        newest = self._segments[-1]
        room = segment.room if segment is newest else 0
        try:
            frames = frame_record(self._next_record, b"".join(items))
            segment.append(frames, spare=bool(batch.entries))
        except BaseException:
            if segment is not newest:
                segment.remove()
            raise
        if segment is not newest:
            newest.follow()
        self._next_record += 1
        self._size += segment.room - room
        with self._entering:
            self._enter(segment, batch, extent, entries_at, forms)

    def _enter(
        self,
        segment: Segment,
        batch: WriteBatch,
        extent: LogExtent,
        entries_at: int,
        forms: list[bytes],
    ) -> None:
        """Enter here what has just become durable. `forms` are those of `entry_items`."""
        places = self._places
        if segment is not self._segments[-1]:
            self._segments.append(segment)
        if batch.reset_to is not None:
            places.reset(batch.reset_to[0])
            for held in self._segments:
                held.last_index = 0
        if batch.truncate_from is not None:
            places.truncate_from(batch.truncate_from)
        number, at = segment.number, entries_at
        for form in forms[1::2]:
            at += ENTRY_HEAD
            places.add(number, at, len(form))
            at += len(form)
        if batch.entries:
            segment.note(batch.entries[0].index, batch.entries[-1].index)
        if batch.reset_to is not None or batch.compact_to is not None:
            places.compact_to(extent.base_index)
        self._extent = extent
        if batch.hard_state is not None:
            self._hard_state = batch.hard_state
        if batch.meta:
            self._meta = self._meta | dict(batch.meta)

    def _remove_compacted(self) -> None:
        """Remove the files all of whose entries are compacted, the oldest first.

        One that cannot be removed is in nobody's way, and is tried again with the next compaction.
        """
        segments, base = self._segments, self._extent.base_index
        with suppress(OSError):
            while len(segments) > 1 and segments[0].last_index <= base:
                segments[0].unlink()
                with self._entering:
                    self._size -= segments[0].room
                    segments.popleft().close()

    def _extent_after(self, batch: WriteBatch) -> LogExtent:
        extent = self._extent
        if batch.reset_to is not None:
            index, term = batch.reset_to
            extent = LogExtent(index, term, index)
        if batch.truncate_from is not None:
            extent = extent.truncated_from(batch.truncate_from)
        if batch.entries:
            extent = extent.extended(batch.entries)
        if batch.compact_to is not None:
            extent = extent.compacted_to(batch.compact_to)
        return extent
