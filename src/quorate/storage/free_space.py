"""How much room the disk under a folder has, and how much of it a log must leave free."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from quorate.storage.disk_errors import clear_errors

RESERVE_SHARE: Final = 8
"""A reserve is never more than this part (one eighth) of its file system."""


def reserve_on(path: Path, wanted_bytes: int) -> int:
    """The bytes to leave free on the file system of `path`: those wanted, less on a small one.

    A fixed reserve would make a small file system full for ever. Raises QuorateError.
    """
    with clear_errors(f"ask for the size of the file system of {path}"):
        return min(wanted_bytes, shutil.disk_usage(path).total // RESERVE_SHARE)


DISK_RESERVE_BYTES: Final = 16 << 20
"""What snapshots and entries leave free on a disk that is large enough."""


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the file system of `path`.

    Raises QuorateError when the path does not exist or cannot be asked.
    """
    with clear_errors(f"ask for the free space of {path}"):
        return shutil.disk_usage(path).free
