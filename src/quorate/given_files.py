"""Files that an operator names, or that lie in a folder which one names: opened and read in bounds.

A path may lead to anything. To open it never waits, as a pipe without a writer would have it; what
is no file is refused by name; and nothing is read further than its bound, whatever its size is said
to be. All errors are OSErrors, in words that fit behind "cannot read X: ".
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 16


def opened(path: str | Path, *, stream: bool = False) -> BinaryIO:
    """A regular file, to be read. With `stream` also a pipe or a terminal, as `<(...)` gives one.

    Raises OSError; ValueError for a path with a zero byte.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  the caller's to close
    mode = os.fstat(file.fileno()).st_mode
    if stream and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        os.set_blocking(file.fileno(), True)
    elif not stat.S_ISREG(mode):
        file.close()
        raise _unfit(path, "it is no regular file")
    return file


def beginning(path: str | Path, most: int, *, stream: bool = False) -> bytes:
    """The bytes of a file, `most` and one more where it has more. Raises as `opened`."""
    with opened(path, stream=stream) as file:
        data = _read(file, most + 1)
        if not data and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _unfit(path, "nothing is written to it")
    return data


def content(path: str | Path, most: int, *, stream: bool = False) -> bytes:
    """The bytes of a file that may have `most` of them. Raises as `opened`."""
    data = beginning(path, most, stream=stream)
    if len(data) > most:
        raise _unfit(path, f"it has more than {most} bytes")
    return data


def _read(file: BinaryIO, most: int) -> bytes:
    """Up to `most` bytes. A read makes room for all that it is asked for: so they are small."""
    data = bytearray()
    while len(data) < most and (piece := file.read(min(_PIECE, most - len(data)))):
        data += piece
    return bytes(data)


def _unfit(path: str | Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
