"""The calls of the operating system by which the log lives: all that it asks of a disk.

`os` is a `System`, and in every server the one in use. Whatever else has the same calls will do:
the simulator runs the log, to the last call, on a disk in memory that forgets at a crash what was
not flushed (`quorate.testing.sim.machines.sectors`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class System(Protocol):
    """Each call as in `os`, with its arguments in place and its OSError."""

    def open(self, path: Path, flags: int, mode: int = ..., /) -> int:
        """A descriptor; of the folder itself with O_DIRECTORY."""

    def close(self, fd: int, /) -> None:
        """Give a descriptor back."""

    def listdir(self, path: Path, /) -> list[str]:
        """The names in a folder."""

    def unlink(self, path: Path, /) -> None:
        """Take a name away; for good only after `fsync` of the folder."""

    def lseek(self, fd: int, position: int, whence: int, /) -> int:
        """With SEEK_END, the size of a file."""

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        """Bytes of a file, fewer at its end."""

    def pwrite(self, fd: int, data: bytes, offset: int, /) -> int:
        """Write; durable only after `fdatasync`."""

    def posix_fallocate(self, fd: int, offset: int, length: int, /) -> None:
        """Make a file reach to offset + length, with zeros."""

    def ftruncate(self, fd: int, length: int, /) -> None:
        """Cut a file."""

    def fdatasync(self, fd: int, /) -> None:
        """Make the bytes of a file and its size durable."""

    def fsync(self, fd: int, /) -> None:
        """Make the names in a folder durable."""
