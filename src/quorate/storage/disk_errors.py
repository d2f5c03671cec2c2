"""Errors of the operating system about a disk, as errors of this project.

Invariant: no OSError leaves `quorate.storage`. A disk without room is `StorageFull`, whatever name
the system gives to it, and so is a process without a free descriptor: it passes, and the write is
tried again. Everything else is a plain `QuorateError` with the system's own words.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from quorate.errors import QuorateError, StorageFull

NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""The disk, the quota of the user or folder, the largest size of a file."""

NO_DESCRIPTOR: Final = frozenset((errno.EMFILE, errno.ENFILE))
"""As many files and connections are open as the process, or the system, may have."""


def disk_error(code: int, reason: str, doing: str) -> QuorateError:
    """The error for errno `code`; `doing` opens the text ("write /data/x")."""
    if code == errno.EFBIG:
        return StorageFull(
            f"cannot {doing}: the file may not grow ({reason})",
            "raise the limit of file sizes (ulimit -f, LimitFSIZE), or use another file system",
        )
    if code in NO_ROOM:
        return StorageFull(f"cannot {doing}: no room ({reason})", "make room on that disk")
    if code in NO_DESCRIPTOR:
        return StorageFull(
            f"cannot {doing}: no descriptor is free ({reason})",
            "close connections of clients, or raise the limit of open files (LimitNOFILE)",
        )
    return QuorateError(
        f"cannot {doing}: {reason}",
        "check the owner and mode of that path, and the kernel's log for disk errors",
    )


@contextmanager
def clear_errors(doing: str) -> Iterator[None]:
    """Turn an OSError of the block into `disk_error`."""
    try:
        yield
    except OSError as error:
        raise clear_error(error, doing) from error


def clear_error(error: OSError, doing: str) -> QuorateError:
    """The `disk_error` for what the system has raised."""
    return disk_error(error.errno or 0, error.strerror or str(error), doing)
