"""Where the files of a log lie: their folder, the calls by which it is used, their sizes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from quorate.errors import LogDamaged
from quorate.storage.atomic import fsync_dir
from quorate.storage.log.frames import FRAME
from quorate.storage.log.records import log_damaged
from quorate.storage.log.segment import Segment
from quorate.storage.system import System

SUFFIX: Final = ".segment"


def segments_in(folder: Path, system: System = os) -> list[Path]:
    """The files of a log, the oldest first; none if there is no such folder. Raises OSError."""
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = system.listdir(folder)
    return [folder / name for name in sorted(names) if name.endswith(SUFFIX)]


class LogFiles:
    """See the module. The folder must be there."""

    segment_bytes: int = 2 << 20
    """A file that has grown so far is followed by another one at the next write of entries."""

    piece: int = 128 * 1024
    """Bytes by which a file grows, and which entries leave free for term and vote."""

    def __init__(self, folder: Path, system: System = os) -> None:
        self.folder: Final = folder
        self.system: Final = system

    def create(self, number: int) -> Segment:
        """Make an empty one. Raises OSError.

        Its name is durable before anything is in it: else what is believed to be durable there,
        after the process was killed and restarted, would go with the name when the power goes.
        """
        path = self.folder / f"{number:010d}{SUFFIX}"
        descriptor = self.system.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        segment = Segment(path, descriptor, room=0, piece=self.piece, system=self.system)
        try:
            fsync_dir(self.folder, self.system)
        except BaseException:
            segment.remove()
            raise
        return segment

    def open(self, path: Path, *, cut_short: bool = False) -> Segment:
        """Open one of `segments_in`. Raises LogDamaged, OSError.

        `cut_short`: also one that was cut anywhere, to read what is left of it.
        """
        if not path.stem.isdecimal():
            raise log_damaged(f"{path} is damaged: its name is no number", str(path))
        descriptor = self.system.open(path, os.O_RDWR)
        room = self.system.lseek(descriptor, 0, os.SEEK_END)
        if room % self.piece and not cut_short:
            self.system.close(descriptor)
            raise self.cut_short(path, room)
        room -= room % FRAME
        return Segment(path, descriptor, room=room, piece=self.piece, system=self.system)

    def cut_short(self, path: Path, size: int) -> LogDamaged:
        """What is wrong with a file of so many bytes."""
        return log_damaged(f"{path} is damaged: {size} bytes is no size of ours", str(path))
