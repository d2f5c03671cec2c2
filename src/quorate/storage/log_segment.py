"""One file of the log: frames at its beginning, zeros behind them.

Chosen, and why:
- Room is taken and zeroed a piece ahead, so that a write changes no block list and no size: its
  sync is one flush of the disk. A commit of LMDB takes two, and of SQLite more.
- The newest piece of room is for writes without entries: term, vote and compaction. A server on a
  full disk still takes part in elections, and a log that filled its disk can be compacted.
- The size is changed by `posix_fallocate` alone, whole pieces at a time: a file of another size was
  cut by somebody else.
- A small file is unlinked at once when all its entries are compacted, which gives the disk its
  room back; a segment is therefore not large.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from quorate.errors import QuorateError
from quorate.storage.log_frames import BODY, FRAME, bodies
from quorate.storage.log_records import log_damaged

SUFFIX: Final = ".segment"
SEGMENT_BYTES: Final = 2 << 20
"""A segment that has grown so far is followed by another one at the next write of entries."""

PIECE: Final = 128 * 1024
"""Bytes by which a segment grows, and which entries leave free for term and vote."""

_ZEROS: Final = bytes(PIECE)


def segments_in(folder: Path) -> list[Path]:
    """The files of a log, the oldest first. Raises OSError."""
    return sorted(folder.glob("*" + SUFFIX))


class Segment:
    """See the module. Made by `create` and `open`; the writer's thread alone appends."""

    def __init__(self, path: Path, number: int, descriptor: int, room: int) -> None:
        self.path: Final = path
        self.number: Final = number
        self.size = 0  # bytes of frames
        self.last_index = 0  # of all entries that were ever written here
        self._descriptor = descriptor
        self._room = room  # bytes of the file

    @classmethod
    def create(cls, folder: Path, number: int) -> Segment:
        """Make an empty one. Its name is durable only after `fsync_dir`. Raises OSError."""
        path = folder / f"{number:010d}{SUFFIX}"
        return cls(path, number, os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), 0)

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Open one that is there. Raises LogDamaged, OSError."""
        if not path.stem.isdecimal():
            raise log_damaged(f"{path} is damaged: its name is no number", str(path))
        descriptor = os.open(path, os.O_RDWR)
        room = os.fstat(descriptor).st_size
        if room % PIECE:
            os.close(descriptor)
            raise log_damaged(f"{path} is damaged: {room} bytes is no size of ours", str(path))
        return cls(path, int(path.stem), descriptor, room)

    @property
    def is_full(self) -> bool:
        """True if entries should go to a new segment."""
        return self.size >= SEGMENT_BYTES

    @property
    def room(self) -> int:
        """Size of the file in bytes."""
        return self._room

    def append(self, frames: bytes, *, keep: int) -> None:
        """Make `frames` durable behind the others, and leave `keep` bytes of room behind them.

        Raises OSError: then they do not count, and may be written again.
        """
        self._make_room(self.size + len(frames) + keep)
        written = os.pwrite(self._descriptor, frames, self.size)
        if written != len(frames):
            raise QuorateError(f"cannot write {self.path}: it took {written} bytes only")
        os.fdatasync(self._descriptor)
        self.size += len(frames)

    def _make_room(self, needed: int) -> None:
        room = self._room
        while room < needed:
            try:
                os.posix_fallocate(self._descriptor, room, PIECE)
                os.pwrite(self._descriptor, _ZEROS, room)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._room)
                raise
            room += PIECE
        self._room = room

    def content(self) -> bytes:
        """All of the file. Raises OSError."""
        return os.pread(self._descriptor, self._room, 0)

    def read(self, start: int, end: int) -> bytes | None:
        """Bytes of the bodies, as if there were no frames; None if damaged. Raises OSError."""
        first, last = start // BODY, (end - 1) // BODY
        data = os.pread(self._descriptor, (last - first + 1) * FRAME, first * FRAME)
        found = bodies(data)
        return None if found is None else found[start - first * BODY : end - first * BODY]

    def frames(self, start: int, size: int) -> bytes:
        """Frames that are durable, from offset `start` on, `size` bytes or less. Raises OSError."""
        return os.pread(self._descriptor, min(size, self.size - start), start)

    def clear_behind(self) -> None:
        """Zero what a write that a crash cut off has left behind the frames. Raises OSError."""
        os.pwrite(self._descriptor, bytes(self._room - self.size), self.size)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Close it and give its room back, when the system gets to it. Raises OSError."""
        self.close()
        self.path.unlink(missing_ok=True)
