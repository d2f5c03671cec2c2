"""The folders that recoveries, undos and salvages have kept, and their removal by an operator.

Each holds what a server was at some time, whole: what an operator may want back, and all that was
written until then. So none goes by itself, and the one that an undo would put back goes only by its
name.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from quorate.errors import QuorateError, WrongDataFolder
from quorate.recovery import undoing
from quorate.recovery.looking.folders import DataDir
from quorate.recovery.recovering import progress_of
from quorate.storage.atomic import UNFINISHED, fsync_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.set_aside import set_aside_in

ALL: Final = "all"

_WHAT: Final = {
    "recovered-": "as it was before a recovery",
    "undone-": "of a recovery that was undone",
    "log-damaged-": "the log before a salvage",
    "rolled-back-": "of a server ID that was given up",
}


class Kept(NamedTuple):
    """A folder. `at` is when it was made, in Unix seconds. `by_undo`: an undo would put it back."""

    path: Path
    what: str
    size: int
    at: float
    by_undo: bool


def kept_in(folder: DataDir) -> list[Kept]:
    """What is kept in a data folder, the oldest first. Raises QuorateError."""
    back = None
    with suppress(QuorateError):  # nothing to undo
        back = folder.root / undoing.look(folder).recovery.aside
    with clear_errors(f"look at {folder.root}"):
        found = [_look(path, by_undo=path == back) for path in set_aside_in(folder.root)]
    return sorted(found, key=lambda each: each.at)


def chosen(kept: Sequence[Kept], names: Sequence[str]) -> list[Kept]:
    """Those of these names; `all` leaves out what an undo needs. Raises WrongDataFolder."""
    by_name = {each.path.name: each for each in kept}
    unknown = [name for name in names if name not in by_name and name != ALL]
    if unknown:
        raise WrongDataFolder(
            f"no folder {unknown[0][:80]!r} is kept there; nothing was removed",
            "give names as `quorate operator recover prune` lists them, or all",
        )
    whole = [each for each in kept if not each.by_undo] if ALL in names else []
    return [
        *whole,
        *(by_name[name] for name in names if name != ALL and by_name[name] not in whole),
    ]


def remove(folder: DataDir, kept: Sequence[Kept]) -> None:
    """Remove them, durably. Raises QuorateError, and WrongDataFolder while they may be in use."""
    if progress_of(folder.root) is not None or undoing.undoing_of(folder.root) is not None:
        raise WrongDataFolder(
            f"a recovery or an undo of {folder.root} was cut off, and needs what it has kept",
            "finish it first: run the command again, or start the server",
        )
    for each in kept:
        with clear_errors(f"remove {each.path}"):
            # A removal that is cut off leaves nothing that looks whole.
            going = each.path.with_name(each.path.name.removesuffix(UNFINISHED) + UNFINISHED)
            if going != each.path:
                each.path.rename(going)
            shutil.rmtree(going)
            fsync_dir(each.path.parent)


def _look(path: Path, *, by_undo: bool) -> Kept:
    what = next(text for prefix, text in _WHAT.items() if path.name.startswith(prefix))
    if path.name.endswith(UNFINISHED):
        what = "an unfinished copy"
    size = sum(each.lstat().st_size for each in path.rglob("*") if each.is_file())
    stamp = path.name.rpartition("-")[2]
    named = int(stamp) / 1000 if stamp.isascii() and stamp.isdigit() and len(stamp) == 13 else 0.0
    return Kept(path, what, size, named or path.lstat().st_mtime, by_undo)
