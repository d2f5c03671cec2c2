"""A file without a name, which holds an archive for a while, below the reserve of the disk.

It goes with its descriptor: a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, Final

from quorate.errors import QuorateError, StorageFull
from quorate.net.threads import in_thread
from quorate.storage.disk_errors import clear_errors
from quorate.storage.free_space import DISK_RESERVE_BYTES, free_bytes, reserve_on

PIECE_BYTES: Final = 256 << 10
_ASK_EVERY_BYTES: Final = 4 << 20


class Spool:
    """See the module. Its methods wait for the disk: any thread, one at a time.

    Raises StorageFull when the disk would have less than its reserve left, QuorateError.
    """

    def __init__(self, folder: Path, reserve_bytes: int = DISK_RESERVE_BYTES) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self.size = 0
        self.stopped = False
        self._granted = 0  # bytes that fit, as far as was asked
        with clear_errors(f"make a file in {folder}"):
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed below

    def write(self, data: bytes) -> None:
        """Append."""
        if self.stopped:
            raise QuorateError("the client has gone")
        if self.size + len(data) > self._granted:
            self._ask(len(data))
        with clear_errors(f"write an archive in {self._folder}"):
            self._file.write(data)
        self.size += len(data)

    def _ask(self, size: int) -> None:
        free = free_bytes(self._folder)
        reserve = reserve_on(self._folder, self._reserve_bytes)
        if size + _ASK_EVERY_BYTES + reserve > free:
            raise StorageFull(
                f"no room in {self._folder} for the archive: {free} bytes are free, and {reserve} "
                "of them stay free",
                "make room on that disk",
            )
        self._granted = self.size + size + _ASK_EVERY_BYTES

    def rewind(self) -> None:
        """Read from the beginning."""
        self._check_wanted()
        with clear_errors(f"read an archive in {self._folder}"):
            self._file.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        self._check_wanted()
        with clear_errors(f"read an archive in {self._folder}"):
            return self._file.read(size)

    def _check_wanted(self) -> None:
        if self.stopped:
            raise QuorateError(
                "its client has let the archive stand, and others waited", "ask for it again"
            )

    def close(self) -> None:
        """The file goes. May be called more than once."""
        self.stopped = True
        self._file.close()


async def pieces(spool: Spool) -> AsyncGenerator[bytes, None]:
    """All of it, read in a thread."""
    await in_thread(spool.rewind)
    while piece := await in_thread(spool.read, PIECE_BYTES):
        yield piece
