"""The log's file: rotated after a time or at a size, and reopened on request.

A file that is full is renamed to `NAME-NANOSECONDS.EXT`, a name that no other one has, and the
oldest such files go. The next lines are written to a file of the old name; if that cannot be
opened they go on into the renamed one, so that no line is lost by rotation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_RETRY_S: Final = 60.0


class LogFile:
    """A sink (`quorate.agent.outlet`). Raises OSError, also when it is made.

    `bytes_max` 0: any size; `files_max` 0: all old files are kept. `trouble` is told, in the
    thread that writes, what about the file does not work. `key` is the key that names it. A new
    file has this `mode`.
    """

    def __init__(
        self,
        path: Path,
        *,
        seconds: float,
        bytes_max: int,
        files_max: int,
        trouble: Callable[[str], None],
        mode: int = 0o644,
        key: str = "log_file",
    ) -> None:
        self._path = path
        self._seconds = seconds
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._trouble = trouble
        self._mode = mode
        self._key = key
        self._number = self._open()
        self._size = os.fstat(self._number).st_size
        self._due = time.monotonic() + seconds

    def _open(self) -> int:
        return os.open(
            self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._mode
        )

    def write(self, text: str) -> None:
        """Append these lines; they share a file."""
        data = text.encode(errors="backslashreplace")
        full = self._bytes_max and self._size and self._size + len(data) > self._bytes_max
        if full or time.monotonic() >= self._due:
            self._rotate()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._number, rest) :]
        self._size += len(data)

    def close(self) -> None:
        """Give the file back; nothing is written from now on."""
        os.close(self._number)

    def reopen(self) -> None:
        """Go on in a file of the configured name, whatever became of the one that is open."""
        try:
            number = self._open()
        except OSError as error:
            self._trouble(
                f"{self._key}: cannot open {self._path} again: {error.strerror}; the log goes on "
                "in the file that is open; make the path writable and send SIGHUP again"
            )
            return
        os.close(self._number)
        self._number = number
        self._size = os.fstat(number).st_size

    def _rotate(self) -> None:
        self._due = time.monotonic() + self._seconds
        name = f"{self._path.stem}-{time.time_ns()}{self._path.suffix}"
        try:
            self._path.rename(self._path.with_name(name))
        except FileNotFoundError:
            pass  # another program has renamed it
        except OSError as error:
            self._due = time.monotonic() + min(self._seconds, _RETRY_S)
            self._size = 0
            self._trouble(
                f"{self._key}: cannot rename {self._path}: {error.strerror}; the log goes on in "
                "it; make its folder writable"
            )
            return
        self.reopen()
        self._prune()

    def _prune(self) -> None:
        if not self._files_max:
            return
        found = self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}")
        stem = len(self._path.stem) + 1
        old = sorted(path for path in found if path.stem[stem:].isdigit())
        for path in old[: -self._files_max]:
            try:
                path.unlink()
            except OSError as error:
                self._trouble(f"{self._key}: cannot remove {path}: {error.strerror}")
                return
