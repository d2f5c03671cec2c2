"""A log is read without changing a byte of its folder, and what is damaged ends it.

`LogStore.open` makes durable again what it finds, and refuses a damaged log as a whole. Here the
files are opened for reading alone, and of a damaged log the sound records before the damage are
shown. A server may be writing meanwhile: what it has not finished may then look like damage.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from quorate.errors import LogDamaged
from quorate.raft.values.messages import Entry, EntryKind, HardState
from quorate.storage.disk_errors import clear_errors
from quorate.storage.log.extent import LogExtent
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import BODY
from quorate.storage.log.records import entry_damaged, read_entry
from quorate.storage.log.replay import LogReplay
from quorate.storage.log.segment import Segment

_TYPE: Final = b"\xa4Type"
_RUN_MAX: Final = 4096
_RUN_BYTES: Final = 256 << 10


def _may_be(encoded: bytes, kind: int) -> bool:
    """False if the end of an entry says that it is of another kind; its type comes last."""
    return encoded[-6:-1] != _TYPE or encoded[-1] == kind


class _ForReading:
    """`os`, but files are opened for reading alone, and nothing can be written."""

    def open(self, path: Path, _flags: int, _mode: int = 0) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __getattr__(self, name: str) -> object:
        assert name in {"close", "listdir", "lseek", "pread"}, f"{name} changes files"
        return getattr(os, name)


class LogReader:
    """The log in the folder `path`. See the module; it is closed at the end of a `with` block.

    `damage` is None, or says what the log ends at; `cut` is then the file and the byte of it from
    which on nothing is used. Raises WrongDataFolder (another layout), QuorateError.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.damage: LogDamaged | None = None
        self.cut: tuple[Path, int] | None = None
        self._segments: dict[int, Segment] = {}
        self._replay = LogReplay()
        files = LogFiles(path, _ForReading())  # type: ignore[arg-type]
        with clear_errors(f"read the log in {path}"):
            try:
                self._take(files)
            except BaseException:
                self.close()
                raise

    def _take(self, files: LogFiles) -> None:
        paths = segments_in(files.folder, files.system)
        self.paths = tuple(paths)
        for number, path in enumerate(paths, 1):
            try:
                segment = files.open(path, cut_short=True)
                self._segments[segment.number] = segment
                self._replay.take(segment, is_last=number == len(paths))
                if (size := path.stat().st_size) % files.piece:
                    raise files.cut_short(path, size)
            except LogDamaged as damage:
                at = self._segments[max(self._segments)].size if self._segments else 0
                known = self._segments and self._segments[max(self._segments)].path == path
                self.damage, self.cut = damage, (path, at if known else 0)
                break
        try:
            self.extent = self._replay.extent()
        except LogDamaged as damage:  # what should be before the first entry is missing
            self.damage = self.damage or damage
            self.extent = LogExtent()

    @property
    def has_records(self) -> bool:
        """False if no file holds any: the log was never begun, or is gone."""
        return bool(self._replay.segments)

    @property
    def hard_state(self) -> HardState:
        """Term and vote, as far as the log is sound."""
        return self._replay.hard_state

    def meta(self, key: str) -> bytes | None:
        """The small value kept under `key`, or None."""
        return self._replay.meta.get(key)

    def entries(
        self, low: int = 0, high: int | None = None, *, only: int | None = None
    ) -> Iterator[Entry]:
        """The entries from `low` up to, not including, `high`; `only` those of that kind.

        Raises LogDamaged, QuorateError.
        """
        index = max(low, self.extent.base_index + 1)
        end = self.extent.last_index + 1 if high is None else min(high, self.extent.last_index + 1)
        term = self.extent.term
        for begin, until in self._spans(index, end, only):
            at = begin
            while at < until:
                run, path = self._run(at, until)
                for encoded in run:
                    if only is None or _may_be(encoded, only):
                        entry = read_entry(at, term(at), encoded, path)
                        if only is None or entry.kind == only:
                            yield entry
                    at += 1

    def _spans(self, index: int, end: int, only: int | None) -> list[tuple[int, int]]:
        """Where entries of that kind can be: nearly all of a log are commands."""
        if only in (None, EntryKind.COMMAND):
            return [(index, end)]
        others = self._replay.others
        return [
            (at, at + 1) for at in others[bisect_left(others, index) : bisect_left(others, end)]
        ]

    def _run(self, index: int, end: int) -> tuple[list[bytes], str]:
        """The travelling forms of this entry and of those that lie close behind it; their file."""
        places = self._replay.places
        count = min(end - index, _RUN_MAX)
        place, spans = places.run(index, count, gap=BODY, size=_RUN_BYTES)
        segment = self._segments[place.segment]
        with clear_errors(f"read the log in {self.path}"):
            data = segment.read(place.start, place.start + place.size)
        if data is None and len(spans) > 1:  # one of them: named when it is read alone
            place, spans = places.run(index, 1, gap=BODY, size=_RUN_BYTES)
            with clear_errors(f"read the log in {self.path}"):
                data = segment.read(place.start, place.start + place.size)
        if data is None:
            raise entry_damaged(index, str(segment.path), "its checksum does not match")
        return [data[begin:end] for begin, end in spans], str(segment.path)

    def close(self) -> None:
        """Give the files back."""
        for segment in self._segments.values():
            with suppress(OSError):
                segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
