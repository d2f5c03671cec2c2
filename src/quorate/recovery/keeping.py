"""A copy of what a recovery is about to change, so that nothing of it is lost for good.

<data_dir>/server/recovered-<epoch>-<time>/     raft/, quorate.json
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from quorate.errors import StorageFull
from quorate.storage.atomic import UNFINISHED, fsync_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.identity import IDENTITY_FILE
from quorate.storage.free_space import free_bytes

PREFIX: Final = "recovered-"
RECORD_FILE: Final = "recovery.json"
"""The recovery for which the copy was made; an undo reads it."""

_RESERVE: Final = 16 << 20


def check_room(raft: Path) -> None:
    """Raise StorageFull unless there is room for a copy of the folder, and for a snapshot."""
    with clear_errors(f"look at {raft}"):
        size = sum(path.stat().st_size for path in raft.rglob("*") if path.is_file())
    if (free := free_bytes(raft)) < 2 * size + _RESERVE:
        raise StorageFull(
            f"no room for a copy of {raft}: it takes {2 * size + _RESERVE} bytes, {free} are free",
            "make room on that disk; nothing was changed",
        )


def keep(root: Path, raft: Path, aside: Path, record: bytes) -> None:
    """Copy the raft folder and the identity to `aside`, durably. Does nothing if it is there.

    `record` is the content of `recovery.json` in it.
    """
    if aside.exists():
        return
    unfinished = aside.with_name(aside.name + UNFINISHED)
    with clear_errors(f"copy {raft} to {aside}"):
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        shutil.copytree(raft, unfinished / "raft")
        shutil.copy2(root / IDENTITY_FILE, unfinished / IDENTITY_FILE)
        (unfinished / RECORD_FILE).write_bytes(record)
        sync_tree(unfinished)
        unfinished.rename(aside)
        fsync_dir(root)


def sync_tree(folder: Path) -> None:
    """Make all files and names below a folder durable. Raises OSError."""
    for path in [folder, *folder.rglob("*")]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
