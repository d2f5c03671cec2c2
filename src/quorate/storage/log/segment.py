"""One file of the log: frames at its beginning, zeros behind them.

Chosen, and why:
- Room is taken and zeroed a piece ahead, so that a write changes no block list and no size: its
  sync is one flush of the disk. A commit of LMDB takes two, and of SQLite more.
- The newest piece of room is for writes without entries: term, vote and compaction. A server on a
  full disk still takes part in elections, and a log that filled its disk can be compacted.
- The size is changed by `posix_fallocate` alone, whole pieces at a time: a file of another size was
  cut by another program.
- The file says in its first frame how large it is at least (`records.Bound`), so that one cut to a
  size that it once had is known as well. A record is written only into room that is durable, in
  one flush with the frame that says so: no flush is added, and a crash leaves no file that is
  smaller than it says. The first frame is written in place, whole or not at all like every other.
- A small file is unlinked at once when all its entries are compacted, which gives the disk its
  room back; a segment is therefore not large.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from quorate.errors import QuorateError
from quorate.storage.log.frames import BODY, FRAME, bodies
from quorate.storage.log.records import Bound, with_bound
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
        self.head = b""  # the first frame, as last written or found
        self.bound = Bound(self.number)  # what it says of the file
        self.is_old = False  # no place for a bound: a version that knew of none has begun it
        self._stating = Lock()  # the first frame is written while others may read it
        self._sure = 0  # bytes of the file that are durable
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
        end = self.size + len(frames)
        if end + self._piece > self._room or len(frames) > self._piece:
            self._see_to_room(end, len(frames), spare=spare)
        if self._soiled > self.size:
            self._clear_soiled()
        if self.size and end > self._sure:
            self._flush()  # the growth first, for this record lies in it
        head, bound = self.head or frames[:FRAME], self.bound
        if self.size and bound.room < self._sure:
            head, bound = self._restate(bound._replace(room=self._sure, size=self.size))
        self._soiled = end
        self._write(frames, self.size)
        self._flush()
        self.head, self.bound = head, bound
        self.size = end

    def follow(self) -> None:
        """A record is durable in the file behind this one: remember it, durably.

        Raises QuorateError: what is on the disk is then known after opening the log again, also
        where the disk says that there is no room. That record is not taken back: it may be what
        this file remembers.
        """
        bound = Bound(self.number, self._sure or self.bound.room, self.size, followed=True)
        try:
            head, bound = self._restate(bound)
            self._flush()
        except OSError as error:
            raise QuorateError(f"cannot write {self.path}: {error.strerror}") from error
        self.head, self.bound = head, bound

    def _restate(self, bound: Bound) -> tuple[bytes, Bound]:
        """Write the first frame with this bound, if it has a place for one; what it is now."""
        head = with_bound(self.head, bound)
        if head is None:
            return self.head, self.bound
        with self._stating:
            self._write(head, 0)
        return head, bound

    def _flush(self) -> None:
        self._system.fdatasync(self._descriptor)
        self._sure = self._room

    def _clear_soiled(self) -> None:
        """By a flush of its own: parts of two records with one number would be damage."""
        self._write(bytes(self._soiled - self.size), self.size)
        self._flush()

    def _write(self, data: bytes, at: int) -> None:
        written = self._system.pwrite(self._descriptor, data, at)
        if written != len(data):
            raise QuorateError(f"cannot write {self.path}: it took {written} bytes only")

    def _see_to_room(self, end: int, size: int, *, spare: bool) -> None:
        """Have room for a record of `size` bytes up to `end`.

        Room for one more of a size above a piece is made with it, if there is any: it is durable
        by the time the next one comes, which then needs no flush for its room.
        """
        needed = end + (self._piece if spare else 0)
        ahead = size if spare and size > self._piece else 0
        if needed + ahead > self._room:
            self._make_room(needed, ahead)

    def _make_room(self, needed: int, ahead: int) -> None:
        room, system = self._room, self._system
        zeros = bytes(self._piece)
        while room < needed + ahead:
            try:
                system.posix_fallocate(self._descriptor, room, self._piece)
                system.pwrite(self._descriptor, zeros, room)
            except OSError:
                kept = room if room >= needed else self._room
                with suppress(OSError):
                    system.ftruncate(self._descriptor, kept)
                if room < needed:
                    raise
                break
            room += self._piece
        self._room = room

    def content(self) -> bytes:
        """All of the file. Raises OSError."""
        return self._system.pread(self._descriptor, self._room, 0)

    def read(self, start: int, end: int) -> bytes | None:
        """Bytes of the bodies, as if there were no frames; None if damaged. Raises OSError."""
        first, last = start // BODY, (end - 1) // BODY
        data = self._read((last - first + 1) * FRAME, first * FRAME)
        found = bodies(data)
        return None if found is None else found[start - first * BODY : end - first * BODY]

    def frames(self, start: int, size: int) -> bytes:
        """Frames that are durable, from offset `start` on, `size` bytes or less. Raises OSError."""
        return self._read(min(size, self.size - start), start)

    def _read(self, size: int, at: int) -> bytes:
        if at:
            return self._system.pread(self._descriptor, size, at)
        with self._stating:  # the kernel may show parts of two states of the first frame
            return self._system.pread(self._descriptor, size, at)

    def settle(self, tail: bytes) -> None:
        """Make durable what was found here: `tail`, its last record, and nothing behind it.

        The record is written again, not flushed alone. The process that wrote it may have been
        killed before its flush, or ended by one that failed; then the kernel takes the pages for
        clean, shows them to every reader, and no later flush writes them. All records before it
        were durable before it was written. Behind it a crash may have left parts of another one.
        The same goes for the first frame, with what it says of the file.
        Raises OSError; a crash on the way leaves the record whole, or torn if it was not durable.
        """
        behind = bytes(self._room - self.size)
        self._write(self.head, 0)
        self._write(tail + behind, self.size - len(tail))
        self._flush()

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
