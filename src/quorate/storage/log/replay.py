"""Opening a log: its records are done again, one after another, and nothing unsound is believed.

Found, and an error: a frame whose checksum does not match, wherever it lies; a record that is
missing between others, or behind which others follow; an item that is none; entries that do not
follow one another; a file that holds less than it says of itself, or whose successor is missing
(`records.Bound`): what was acknowledged is gone with the rest. Not an error: frames of one record,
the next to come, of which some are still zeros. That is a write which a crash cut off, nobody was
told that it is durable, and it is undone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from quorate.errors import LogDamaged, WrongDataFolder
from quorate.raft.values.messages import HardState
from quorate.storage.log import records as log_records
from quorate.storage.log.extent import LogExtent
from quorate.storage.log.frames import BODY, FRAME, Frame, following, is_unwritten, read_frame
from quorate.storage.log.places import LogPlaces
from quorate.storage.log.records import ENTRY_BODY, Item, entry_damaged, log_damaged
from quorate.storage.log.segment import Segment

_CHECKSUM: Final = "a checksum does not match"
_NO_RECORD: Final = 1 << 63  # no log lives to see that number


class LogReplay:
    """The result of the segments taken in so far. Feed them oldest first, then ask `extent`."""

    def __init__(self) -> None:
        self.places = LogPlaces()
        self.hard_state = HardState()
        self.meta: dict[str, bytes] = {}
        self.next_record = 0  # 0: any; the first file says where the count stands
        self.tail = b""  # the frames of the last record
        self.segments: list[Segment] = []
        self.leftover: list[Segment] = []  # files that should be gone
        self.others: list[int] = []  # the entries that are no commands, and some that may be one
        # The log without what is compacted, as `LogExtent` has it. Entries of files that are gone
        # are compacted, whether or not the record that says so has been met yet.
        self._from = self._last = 0
        self._runs: list[tuple[int, int]] = []
        self._last_term = 0
        self._base = (0, 0)  # as recorded

    def take(self, segment: Segment, *, is_last: bool) -> None:
        """Do the records of a file. Raises LogDamaged, WrongDataFolder, OSError.

        Afterwards `segment.size` is where the next record goes. A last file with no record is
        what a crash left of its making: it is not taken into `segments`.
        """
        path = str(segment.path)
        if self.segments and segment.number != self.segments[-1].number + 1:
            # Files are removed oldest first, but the disk may have forgotten that of one of them.
            # If it was not so, entries will be missing, and `extent` says which.
            self.leftover += self.segments
            self.segments, self.next_record = [], 0
        content = segment.content()
        at = begun = 0
        while (payload := self._record_at(content, at, path)) is not None:
            self._do(payload, segment, at // FRAME * BODY, is_first=at == 0)
            begun, at = at, at + max(1, -(-len(payload) // BODY)) * FRAME
            self.next_record += 1
            segment.size = at  # a reader of a damaged log wants to know how far it is sound
        segment.size = at
        segment.head = content[:FRAME]
        self._check_behind(content, at, path)
        if at:
            self._check_bound(segment, is_last=is_last)
            segment.is_old = log_records.with_bound(segment.head, segment.bound) is None
            self.tail = content[begun:at]
            self.segments.append(segment)
        elif not is_last or (self.segments and self.segments[-1].bound.followed):
            raise log_damaged(f"{path} is damaged: its records are missing", path)
        elif not self.segments and segment.number != 1:  # a log never restarts over another one
            raise log_damaged(f"{path} is damaged: the file before it is missing", path)

    def extent(self) -> LogExtent:
        """The extent of the log, when all files are taken in. Raises LogDamaged."""
        index, term = self._base
        if index < self._from:
            raise entry_damaged(index + 1, self._path(), "it is missing")
        return LogExtent(index, term, self._last, tuple(self._runs))

    def _path(self) -> str:
        return str(self.segments[-1].path if self.segments else Path())

    # -- frames -----------------------------------------------------------------------------------

    def _record_at(self, content: bytes, at: int, path: str) -> bytes | None:
        """The payload of the record at offset `at`; None if none was finished there."""
        first = self._frame_at(content, at, path)
        if first is None or first.part != 0:
            return None  # `_check_behind` looks whose it is
        if self.next_record == 0 and first.record < _NO_RECORD:
            self.next_record = first.record
        if first.record != self.next_record:
            what = f"record {first.record} where {self.next_record} belongs"
            raise log_damaged(f"{path} is damaged: {what}", path)
        # Joined at last: a record may be of many megabytes.
        bodies: list[bytes | memoryview] = [first.body[: first.used]]
        if first.parts > 1:
            bodies += following(content, at + FRAME, first)
        for part in range(len(bodies), first.parts):
            frame = self._frame_at(content, at + part * FRAME, path, bodies)
            if frame is None:
                return None
            if frame[:3] != (first.record, part, first.parts):
                raise self._damaged(bodies, path, "another record lies in it")
            bodies.append(frame.body[: frame.used])
        return b"".join(bodies)

    def _frame_at(
        self, content: bytes, at: int, path: str, bodies: Sequence[bytes | memoryview] = ()
    ) -> Frame | None:
        """The frame there, None if there is none yet; `bodies` are those before, of its record."""
        data = content[at : at + FRAME]
        if is_unwritten(data):
            return None
        frame = read_frame(data)
        if frame is None:
            raise self._damaged(bodies, path, _CHECKSUM)
        return frame

    def _damaged(self, bodies: Sequence[bytes | memoryview], path: str, what: str) -> LogDamaged:
        """Names the first entry of the record at hand of which not all bytes are sound."""
        index, payload = self._last, b"".join(bodies)
        with suppress(struct.error, ValueError):  # what is damaged need not make sense
            for item in log_records.items_of(payload):
                if item.kind == log_records.ENTRY:
                    index += 1
                elif item.kind == log_records.TRUNCATE:
                    index = log_records.read_number(payload, item) - 1
                elif item.kind == log_records.RESET:
                    index = log_records.read_pair(payload, item)[0]
        index += 1
        where = f"entry {index} in {path}, or what was written with it,"
        return log_damaged(f"{where} is damaged: {what}", path, index)

    def _check_behind(self, content: bytes, at: int, path: str) -> None:
        """Behind the last record there may be parts of the next one, and nothing else."""
        expected = self.next_record or 1  # a store that a crash cut off in its making
        for place in range(at, len(content), FRAME):
            frame = self._frame_at(content, place, path)
            if frame is not None and frame[:2] != (expected, (place - at) // FRAME):
                what = f"record {frame.record} lies there, record {expected} is missing"
                raise log_damaged(f"{path} is damaged: {what}", path)

    def _check_bound(self, segment: Segment, *, is_last: bool) -> None:
        """A file holds what it says that it holds: a crash takes none of it, another program does.

        What is not flushed may go in a crash, records and the growth of a file. A bound is written
        after what it tells of is durable, so nothing that may go is missed here.
        """
        path, bound = str(segment.path), segment.bound
        if segment.room < bound.room:
            what = f"{segment.room} bytes are left of {bound.room} or more: it was cut"
        elif segment.size < bound.size:
            what = (
                f"its records end at byte {segment.size}, they reached to {bound.size} or further"
            )
        elif is_last and bound.followed:
            what = "the file behind it is missing"
        else:
            return
        raise log_damaged(f"{path} is damaged: {what}", path)

    # -- records ----------------------------------------------------------------------------------

    def _do(self, payload: bytes, segment: Segment, start: int, *, is_first: bool) -> None:
        """Do the items of one record, whose payload begins at `start` of the segment's bodies."""
        path = str(segment.path)
        end = 0
        try:
            while True:
                if end or not is_first:
                    end = self._entries(payload, end, segment, start)
                if (item := next(log_records.items_of(payload, end), None)) is None:
                    break
                if (item.kind == log_records.HEAD) != (is_first and end == 0):
                    raise log_damaged(f"{path} is damaged: its head is not there", path)
                self._do_item(payload, item, segment, start)
                end = item.end
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise log_damaged(f"{path} is damaged: no such item: {error}", path) from error
        if end != len(payload):
            raise log_damaged(f"{path} is damaged: an item is cut off", path)
        if is_first and not payload:
            raise log_damaged(f"{path} is damaged: its head is not there", path)

    def _do_item(self, payload: bytes, item: Item, segment: Segment, start: int) -> None:
        match item.kind:
            case log_records.ENTRY:
                self._entry(payload, item, segment, start)
            case log_records.HARD_STATE:
                self.hard_state = log_records.read_hard_state(payload, item)
            case log_records.TRUNCATE:
                self._truncate(log_records.read_number(payload, item))
            case log_records.BASE:
                self._compact(*log_records.read_pair(payload, item))
            case log_records.RESET:
                self._reset(*log_records.read_pair(payload, item))
                for held in (*self.segments, segment):
                    held.last_index = 0
            case log_records.META:
                self._meta(*log_records.read_meta(payload, item), segment)
            case log_records.HEAD:
                self._head(log_records.read_head(payload, item), segment)
            case _:
                raise ValueError(f"kind {item.kind}")

    def _head(self, head: log_records.Head, segment: Segment) -> None:
        if head.layout != log_records.LAYOUT:
            raise WrongDataFolder(
                f"the log in {segment.path.parent} has layout {head.layout}, we read layout "
                f"{log_records.LAYOUT}: another version of Quorate wrote it",
                "start the version that wrote it",
            )
        if not self.segments:
            self._reset(head.last_index, head.last_term)
            self._base = (head.base_index, head.base_term)
        elif self._last != head.last_index or self._last_term not in (0, head.last_term):
            path = str(segment.path)
            what = f"it follows entry {head.last_index}, and the file before ends at {self._last}"
            raise log_damaged(f"{path} is damaged: {what}", path)

    def _meta(self, name: str, value: bytes, segment: Segment) -> None:
        bound = log_records.read_bound(name, value)
        if bound is None:
            self.meta[name] = value
        elif bound.number == segment.number:  # else an older version has kept that of another file
            segment.bound = bound

    def _entries(self, payload: bytes, at: int, segment: Segment, start: int) -> int:
        """Do the entries from `at` on that are of the last term, as nearly all are; their end.

        The same as `_entry` for each, which takes three times as long.
        """
        if not self._runs:
            return at
        term, size, index = self._last_term, len(payload), self._last
        unpack, is_command = log_records.ENTRY_ITEM.unpack_from, payload.endswith
        starts: list[int] = []
        sizes: list[int] = []
        while at + log_records.ENTRY_HEAD <= size:
            kind, length, of_term = unpack(payload, at)
            body, end = at + log_records.ENTRY_HEAD, at + log_records.ITEM_HEAD + length
            if kind != log_records.ENTRY or of_term != term or not body <= end <= size:
                break
            index += 1
            starts.append(start + body)
            sizes.append(end - body)
            if not is_command(log_records.COMMAND_END, body, end):
                self.others.append(index)
            at = end
        if starts:
            self.places.extend(segment.number, starts, sizes)
            segment.note(self._last + 1, index)
            self._last = index
        return at

    def _entry(self, payload: bytes, item: Item, segment: Segment, start: int) -> None:
        term = log_records.read_number(payload, item)
        index = self._last + 1
        if term != self._last_term or not self._runs:
            if term < self._last_term:
                what = f"its term {term} is below {self._last_term}"
                raise entry_damaged(index, str(segment.path), what)
            self._runs.append((index, term))
            self._last_term = term
        self._last = index
        body = item.start + ENTRY_BODY
        self.places.add(segment.number, start + body, item.end - body)
        if not payload.endswith(log_records.COMMAND_END, body, item.end):
            self.others.append(index)
        segment.note(index, index)

    def _reset(self, index: int, term: int) -> None:
        self._from = self._last = index
        self._last_term = term
        self._runs = []
        self._base = (index, term)
        self.places.reset(index)
        self.others = []

    def _truncate(self, index: int) -> None:
        if index > self._last:
            return
        self.places.truncate_from(index)
        while self.others and self.others[-1] >= index:
            self.others.pop()
        self._runs = [run for run in self._runs if run[0] < index]
        self._last = index - 1
        self._from = min(self._last, self._from)
        self._last_term = self._runs[-1][1] if self._runs else self._known_base_term()

    def _known_base_term(self) -> int:
        """Term of the entry before all that is left; 0 where only a file that is gone knew it."""
        return self._base[1] if self._base[0] == self._last else 0

    def _compact(self, index: int, term: int) -> None:
        self._base = (index, term)
        if index <= self._from:
            return
        if index > self._last:
            raise ValueError(f"compacted to {index}, the last entry is {self._last}")
        self.places.compact_to(index)
        self._from = index
        whole = LogExtent(0, 0, self._last, tuple(self._runs))
        self._runs = list(whole.compacted_to(index).runs)
