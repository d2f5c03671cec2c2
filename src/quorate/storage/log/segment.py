"""One file of the log: frames at its beginning, zeros behind them.

Chosen, and why:
- Room is taken and zeroed a piece ahead, so that a write changes no block list and no size: its
  sync is one flush of the disk. A commit of LMDB takes two, and of SQLite more.
- The newest piece of room is for writes without entries: term, vote and compaction. A server on a
  full disk still takes part in elections, and a log that filled its disk can be compacted.
- The size is changed by `posix_fallocate` alone, whole pieces at a time: a file of another size was
  cut by another program.
- A small file is unlinked at once when all its entries are compacted, which gives the disk its
  room back; a segment is therefore not large.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from quorate.errors import QuorateError
from quorate.storage.log.frames import BODY, FRAME, bodies
from quorate.storage.system import System


class Segment:
    """See the module. Made by `LogFiles`; the writer's thread alone appends."""

    def __init__(
        self, path: Path, descriptor: int, *, room: int, piece: int, system: System
    ) -> None:
        self.path: Final = path
        self.number: Final = int(path.stem)
        self.size = 0  # bytes of frames
        self.last_index = 0  # of all entries that were ever written here
        self.first_index = 0  # the lowest of them; 0 without entries
        self._soiled = 0  # up to where writes that failed may have left something
        self._descriptor = descriptor
        self._room = room  # bytes of the file
        self._piece = piece
        self._system = system

    @property
    def room(self) -> int:
        """Size of the file in bytes."""
        return self._room

    def note(self, first: int, last: int) -> None:
        """Entries with these indexes lie here."""
        self.last_index = max(self.last_index, last)
        self.first_index = min(self.first_index or first, first)

    def append(self, frames: bytes, *, spare: bool) -> None:
        """Make `frames` durable behind the others; with `spare`, a piece of room stays behind them.

        Raises OSError: then they do not count, and others may be written in their place.
        """
        needed = self.size + len(frames) + (self._piece if spare else 0)
        if needed > self._room:
            self._make_room(needed)
        if self._soiled > self.size:
            self._clear_soiled()
        self._soiled = self.size + len(frames)
        self._write(frames, self.size)
        self._system.fdatasync(self._descriptor)
        self.size = self._soiled

    def _clear_soiled(self) -> None:
        """By a flush of its own: parts of two records with one number would be damage."""
        self._write(bytes(self._soiled - self.size), self.size)
        self._system.fdatasync(self._descriptor)

    def _write(self, data: bytes, at: int) -> None:
        written = self._system.pwrite(self._descriptor, data, at)
        if written != len(data):
            raise QuorateError(f"cannot write {self.path}: it took {written} bytes only")

    def _make_room(self, needed: int) -> None:
        room, system = self._room, self._system
        zeros = bytes(self._piece)
        while room < needed:
            try:
                system.posix_fallocate(self._descriptor, room, self._piece)
                system.pwrite(self._descriptor, zeros, room)
            except OSError:
                with suppress(OSError):
                    system.ftruncate(self._descriptor, self._room)
                raise
            room += self._piece
        self._room = room

    def content(self) -> bytes:
        """All of the file. Raises OSError."""
        return self._system.pread(self._descriptor, self._room, 0)

    def read(self, start: int, end: int) -> bytes | None:
        """Bytes of the bodies, as if there were no frames; None if damaged. Raises OSError."""
        first, last = start // BODY, (end - 1) // BODY
        data = self._system.pread(self._descriptor, (last - first + 1) * FRAME, first * FRAME)
        found = bodies(data)
        return None if found is None else found[start - first * BODY : end - first * BODY]

    def frames(self, start: int, size: int) -> bytes:
        """Frames that are durable, from offset `start` on, `size` bytes or less. Raises OSError."""
        return self._system.pread(self._descriptor, min(size, self.size - start), start)

    def settle(self, tail: bytes) -> None:
        """Make durable what was found here: `tail`, its last record, and nothing behind it.

        The record is written again, not flushed alone. The process that wrote it may have been
        killed before its flush, or ended by one that failed; then the kernel takes the pages for
        clean, shows them to every reader, and no later flush writes them. All records before it
        were durable before it was written. Behind it a crash may have left parts of another one.
        Raises OSError; a crash on the way leaves the record whole, or torn if it was not durable.
        """
        behind = bytes(self._room - self.size)
        self._write(tail + behind, self.size - len(tail))
        self._system.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the file back."""
        self._system.close(self._descriptor)

    def unlink(self) -> None:
        """Take its name away. Raises OSError: then it may be tried again."""
        with suppress(FileNotFoundError):
            self._system.unlink(self.path)

    def remove(self) -> None:
        """Close it and give its room back, when the system gets to it. Raises OSError."""
        self.close()
        self.unlink()
