"""Replacing a small file so that after a crash it is either the old or the new one, whole.

The order is what makes it so: write beside it, sync the bytes, rename, sync the folder, because
a rename is durable only when the folder that holds the name is. A process that ended before the
last step has left a name that is seen and may go: `settle_names` before such a file counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from quorate.storage.disk_errors import clear_errors
from quorate.storage.system import System

UNFINISHED: Final = ".tmp"
"""Suffix of an unfinished file. One that is found after a crash may be removed."""


def fsync_dir(path: Path, system: System = os) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = system.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        system.fsync(descriptor)
    finally:
        system.close(descriptor)


def make_dir(path: Path) -> None:
    """Make a folder of mode 0700, durably, with the folders above it. Raises OSError."""
    if path.is_dir():
        return
    make_dir(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    fsync_dir(path.parent)


def settle_names(folder: Path) -> None:
    """Make the names that were found in a folder durable, before what they stand for counts.

    The bytes of a file are durable before it has its name (`write_atomic`); a name that was not
    flushed, or whose flush failed, stays for the journal of the file system to write. Raises
    QuorateError.
    """
    with clear_errors(f"flush {folder}"):
        fsync_dir(folder)


def write_synced(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file and sync its bytes, but not its name. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file at `path` by `content`, all or nothing, durably.

    Raises StorageFull or QuorateError; the old file then stands and nothing is left beside it.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    with clear_errors(f"write {path}"):
        try:
            write_synced(unfinished, content, mode)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        fsync_dir(path.parent)
