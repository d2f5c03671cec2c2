"""The state before a restore, kept as an archive in the data folder of the leader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from quorate.archive.reading import read_archive
from quorate.net.threads import in_thread
from quorate.server.archive.saving import Saves
from quorate.storage.atomic import UNFINISHED, fsync_dir, make_dir
from quorate.storage.disk_errors import clear_errors

FOLDER: Final = "safety"
KEPT: Final = 3
_SUFFIX: Final = ".snap"


async def keep_safe(saves: Saves, folder: Path) -> str:
    """Save the state of now into `folder`/safety; the path of the file, which is durable.

    The newest three are kept. Raises what a save raises.
    """
    saved = await saves.save(to_client=False)
    place = folder / FOLDER
    path = place / (saved.meta.id + _SUFFIX)
    unfinished = path.with_name(path.name + UNFINISHED)
    with clear_errors(f"write {path}"):
        try:
            await in_thread(_begin, place, unfinished)
            with unfinished.open("ab") as file:
                async for piece in saved.body:
                    await in_thread(file.write, piece)
                await in_thread(_end, file.fileno())
            await in_thread(_give_name, unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            await saved.body.aclose()
    return str(path)


def drop_unfinished(folder: Path) -> None:
    """Remove what a process has left that was killed while it saved. Raises QuorateError."""
    place = folder / FOLDER
    with clear_errors(f"remove unfinished files in {place}"):
        for left in place.glob("*" + UNFINISHED):
            left.unlink()


def _begin(place: Path, unfinished: Path) -> None:
    make_dir(place)
    drop_unfinished(place.parent)
    unfinished.touch(mode=0o600)


def _end(descriptor: int) -> None:
    os.fsync(descriptor)


def _give_name(unfinished: Path, path: Path) -> None:
    with unfinished.open("rb") as file:
        read_archive(file.read)
    unfinished.rename(path)
    fsync_dir(path.parent)
    named = sorted(path.parent.glob("*" + _SUFFIX), key=lambda each: each.stat().st_mtime_ns)
    for old in named[:-KEPT]:
        old.unlink()
