"""The files beside log and snapshots in a server's folder that hold text of earlier times.

The safety snapshots of restores, and what was moved aside by recoveries, salvages, and when the
server took a new ID. Each
counts by the index of the log up to which it tells what happened; where that cannot be told, from
the beginning on. All of it is for people, so a message names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from quorate.server.archive.safety import FOLDER
from quorate.storage.atomic import fsync_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.set_aside import set_aside_in


class Kept(NamedTuple):
    """A file or a folder, and the index behind the last one that it tells of."""

    path: Path
    below: int
    is_safety: bool


def kept_in(folder: Path) -> list[Kept]:
    """All that lies in this folder of a server. Reads the disk: in a thread."""
    with clear_errors(f"look for older snapshots in {folder}"):
        safety, aside = (folder / FOLDER).glob("*.snap*"), set_aside_in(folder)
        found = [Kept(path, _index_of(path.name), is_safety=True) for path in sorted(safety)]
        return found + [Kept(path, 1, is_safety=False) for path in aside]


def drop_safety(folder: Path, below: int) -> None:
    """Remove the safety snapshots that tell of that index or before. In a thread."""
    for each in kept_in(folder):
        if each.is_safety and 1 < each.below <= below:
            with clear_errors(f"remove {each.path}"):
                each.path.unlink(missing_ok=True)
                fsync_dir(each.path.parent)


def _index_of(name: str) -> int:
    """Of "<term>-<index>-<time>.snap", and one more: it holds the state at that index."""
    parts = name.split("-")
    return int(parts[1]) + 1 if len(parts) == 3 and parts[1].isdecimal() else 1
