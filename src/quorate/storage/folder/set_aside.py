"""Moving the data of a server aside, so that it starts empty and nothing is lost for good.

    <folder>/rolled-back-20261128T231500Z/      log, snapshots and what else lay there

At most three such folders are kept, the oldest goes first: they are for people, and they take room.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from quorate.storage.atomic import fsync_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.standing import RolledBack

PREFIX: Final = "rolled-back-"
KEPT: Final = 3

PREFIXES: Final = (PREFIX, "recovered-", "undone-", "log-damaged-")
"""What all folders of earlier data begin with: these, and those of recoveries and salvages."""


def set_aside_in(root: Path) -> list[Path]:
    """The folders with earlier data in a server's folder, by name. Raises OSError."""
    places = [place for place in (root, root / "raft") if place.is_dir()]
    found = [path for place in places for path in place.iterdir() if path.is_dir()]
    return sorted(path for path in found if path.name.startswith(PREFIXES))


def set_aside(root: Path, parts: Iterable[Path], mark: RolledBack) -> tuple[Path, list[Path]]:
    """Move `parts`, which lie in `root`, into a folder named after the mark.

    The result is that folder, and those that were removed for it.

    May be repeated after a crash: what was moved stays where it is. Raises QuorateError.
    """
    aside = root / f"{PREFIX}{datetime.fromtimestamp(mark.at, UTC):%Y%m%dT%H%M%SZ}"
    with clear_errors(f"move the data of {root} to {aside}"):
        aside.mkdir(mode=0o700, exist_ok=True)
        for part in parts:
            if part.exists():
                part.rename(_free_name(aside / part.name))
        fsync_dir(aside)
        fsync_dir(root)
    return aside, _prune(root, keep=aside)


def _free_name(path: Path) -> Path:
    """The path, with a number behind it if something is there: two marks in one second."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _prune(root: Path, keep: Path) -> list[Path]:
    gone: list[Path] = []
    with suppress(OSError):  # one that cannot be removed is in nobody's way
        found = sorted(path for path in root.glob(f"{PREFIX}*") if path.is_dir())
        for path in [path for path in found if path != keep][: max(len(found) - KEPT, 0)]:
            shutil.rmtree(path)
            gone.append(path)
    return gone
