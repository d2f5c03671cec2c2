"""A disk in memory, sector by sector, with the calls of a `System`: what a crash may leave of it.

What all processes see is kept apart from what is durable. A write counts at once and is durable
after `fdatasync`; a growth of a file likewise; a name that is new or gone after `fsync` of the
folder. When the power goes, each sector of 512 bytes that was not flushed has its new content or
its old one, whole; a file any of the sizes it had since; a name is there or not; all independently.
When only the process goes, the machine keeps everything, and may still lose it later.

`cut_after` ends a process in the middle of its work, before one of its flushes. `fail_after` lets a
flush fail as Linux does: the bytes stay where all processes see them and count as written, so no
later flush writes them; only a sector that is written again may become durable.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from typing import NamedTuple

SECTOR = 512


class CutError(Exception):
    """The process, or the machine with it, was gone in the middle of a call."""


class Loss(NamedTuple):
    """The outcome of a loss of power."""

    changed: int = 0  # sectors that were not flushed
    kept: int = 0  # those of them that were there all the same
    shrunk: bool = False  # the growth of a file was undone
    unnamed: bool = False  # a new file was gone
    unfilled: bool = False  # a file was there without some of the first that was written to it
    back: bool = False  # a file that had been removed was there again


class _File:
    """`sizes`: the durable one, and that after each growth. `unsynced`: what is durable instead.

    `dropped` likewise, of sectors that a flush should have written, and that no flush will write.
    """

    __slots__ = ("content", "dropped", "sizes", "unsynced")

    def __init__(self) -> None:
        self.content = bytearray()
        self.sizes = [0]
        self.unsynced: dict[int, bytes] = {}
        self.dropped: dict[int, bytes] = {}

    def sector(self, number: int) -> bytes:
        """The bytes that all processes see there."""
        return bytes(self.content[number * SECTOR : (number + 1) * SECTOR])

    def sync(self) -> None:
        """All of it is durable."""
        self.unsynced.clear()
        self.sizes = [len(self.content)]

    def drop(self) -> None:
        """A flush has failed: what it should have written counts as written."""
        self.dropped = self.unsynced | self.dropped
        self.unsynced = {}

    def lose(self, rng: Random, share: float) -> tuple[int, int, bool]:
        """Sectors changed, sectors kept, whether it is smaller than it was."""
        content, before = self.content, len(self.content)
        size = self.sizes[-1]
        if len(self.sizes) > 1 and not rng.random() < share:
            size = rng.choice(self.sizes[:-1])
        changed = kept = 0
        for sector, old in (self.unsynced | self.dropped).items():
            at = sector * SECTOR
            if content[at : at + SECTOR] == old:
                continue
            changed += 1
            if at < size and rng.random() < share:
                kept += 1
            else:
                content[at : at + SECTOR] = old
        del content[size:]
        self.dropped.clear()
        self.sync()
        return changed, kept, size < before


class SectorDisk:
    """See the module. One folder; `files` are the files that all processes see, by name."""

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}  # the names
        self._opened: dict[int, _File | None] = {}  # None is the folder
        self._newest = 2  # descriptor
        self._flushes_left = -1  # until the process is cut off; none if negative
        self._failing_in = -2  # flushes until one fails; none if negative
        self._gone = False

    # -- faults -----------------------------------------------------------------------------

    def cut_after(self, flushes: int) -> None:
        """After so many flushes, each call ends with CutError, until `restart`."""
        self._flushes_left = flushes

    def fail_after(self, flushes: int) -> None:
        """After so many flushes, one ends with EIO."""
        self._failing_in = flushes

    def restart(self) -> None:
        """The process restarts; the machine went on."""
        self._opened.clear()
        self._flushes_left, self._failing_in = -1, -2
        self._gone = False

    def lose_power(self, rng: Random) -> Loss:
        """The machine restarts with what it may have kept."""
        self.restart()
        share = rng.choice((0.0, rng.random(), rng.random(), rng.random(), 1.0))
        changed = kept = 0
        shrunk = unnamed = unfilled = back = False
        names: dict[str, _File] = {}
        for name in sorted(self.files | self._durable):
            file = self.files.get(name) or self._durable[name]
            is_new = name not in self._durable
            if (is_new or name not in self.files) and (rng.random() < share) is not is_new:
                unnamed |= is_new
                continue
            back |= name not in self.files
            names[name] = file
            is_empty = file.sizes[0] == 0
            of_it = file.lose(rng, share)
            changed += of_it[0]
            kept += of_it[1]
            shrunk |= of_it[2]
            unfilled |= is_empty and of_it[1] < of_it[0]
        self.files = names
        self._durable = dict(names)
        return Loss(changed, kept, shrunk, unnamed, unfilled, back)

    def flip(self, name: str, at: int, mask: int) -> None:
        """Change a byte that is durable."""
        self.files[name].content[at] ^= mask

    def cut(self, name: str, size: int) -> None:
        """Another program leaves so many bytes of a file; none: the file is gone, durably."""
        if not size:
            del self.files[name]
            self._durable.pop(name, None)
            return
        file = self.files[name]
        del file.content[size:]
        file.sync()

    # -- the calls, as in `os` --------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int:
        """See System."""
        del mode
        self._check()
        file = None
        if not flags & os.O_DIRECTORY:
            if flags & os.O_CREAT:
                assert path.name not in self.files, f"{path} is there"
                self.files[path.name] = _File()
            file = self.files[path.name]
        self._newest += 1
        self._opened[self._newest] = file
        return self._newest

    def close(self, fd: int, /) -> None:
        """See System."""
        self._opened.pop(fd, None)

    def listdir(self, path: Path, /) -> list[str]:
        """See System."""
        del path
        return list(self.files)

    def unlink(self, path: Path, /) -> None:
        """See System."""
        self._check()
        del self.files[path.name]

    def lseek(self, fd: int, position: int, whence: int, /) -> int:
        """See System."""
        assert (position, whence) == (0, os.SEEK_END)
        return len(self._file(fd).content)

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        """See System."""
        return bytes(self._file(fd).content[offset : offset + length])

    def pwrite(self, fd: int, data: bytes, offset: int, /) -> int:
        """See System."""
        self._check()
        file = self._file(fd)
        content, unsynced = file.content, file.unsynced
        end = offset + len(data)
        assert end <= len(content), "written beyond the room that was taken"
        for sector in range(offset // SECTOR, -(-end // SECTOR)):
            if sector not in unsynced:
                now = bytes(content[sector * SECTOR : (sector + 1) * SECTOR])
                unsynced[sector] = file.dropped.pop(sector, now)
        content[offset:end] = data
        return len(data)

    def posix_fallocate(self, fd: int, offset: int, length: int, /) -> None:
        """See System."""
        self._check()
        file = self._file(fd)
        assert offset == len(file.content)
        file.content.extend(bytes(length))
        file.sizes.append(len(file.content))

    def ftruncate(self, fd: int, length: int, /) -> None:
        """See System."""
        self._check()
        file = self._file(fd)
        del file.content[length:]
        file.sizes.append(length)

    def fdatasync(self, fd: int, /) -> None:
        """See System."""
        file = self._file(fd)
        self._flush(file)
        file.sync()

    def fsync(self, fd: int, /) -> None:
        """See System."""
        self._flush(None)
        assert self._opened[fd] is None, "only the folder is flushed so"
        self._durable = dict(self.files)

    def _file(self, fd: int) -> _File:
        file = self._opened[fd]
        assert file is not None
        return file

    def _check(self) -> None:
        if self._gone:
            raise CutError

    def _flush(self, file: _File | None) -> None:
        self._check()
        self._failing_in = max(self._failing_in - 1, -2)
        if self._failing_in == -1:
            if file is not None:
                file.drop()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._flushes_left == 0:
            self._gone = True
            raise CutError
        self._flushes_left -= 1
