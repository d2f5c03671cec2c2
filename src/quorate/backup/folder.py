"""A folder as the target of backups: one that all servers share.

A file is written beside its place, flushed, linked to its name, and the name is flushed. So
whatever ends the process, or the power, a name stands for a whole file. What was begun and not
ended goes with the next file that is put there.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Final

from quorate.backup.target import Absent, Read, TargetError, checked_name, is_name
from quorate.storage.atomic import fsync_dir

_PIECE_BYTES: Final = 256 << 10
_HIDDEN: Final = ".unfinished-"
_TRIAL: Final = f"{_HIDDEN}trial-"
_TRIED: Final = bytes(4096)


class FolderTarget:
    """See the module. The folder itself is never made: a share that is not mounted stays empty."""

    def __init__(self, path: str) -> None:
        self._folder = Path(path)

    def put(self, name: str, read: Read, size: int, may: Callable[[], bool]) -> None:
        """See `Target`."""
        place = self._folder / checked_name(name)
        unfinished = self._folder / f"{_HIDDEN}{name}-{secrets.token_hex(4)}"
        with self._clearly(f"write {name}"):
            self._sweep(name)
            try:
                with open(unfinished, "xb", opener=_private) as file:
                    put = 0
                    while piece := read(_PIECE_BYTES):
                        file.write(piece)
                        put += len(piece)
                    file.flush()
                    os.fsync(file.fileno())
                if put != size:
                    raise TargetError(f"{put} of {size} bytes of {name} came", "it is tried again")
                if not may():
                    raise TargetError("this server leads no more", "the leader makes the backup")
                _name(unfinished, place)
            finally:
                unfinished.unlink(missing_ok=True)
            fsync_dir(self._folder)

    def try_out(self) -> None:
        """See `Target`."""
        place = self._folder / f"{_TRIAL}{secrets.token_hex(4)}"
        with self._clearly("write"):
            try:
                with open(place, "xb", opener=_private) as file:
                    file.write(_TRIED)
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                place.unlink(missing_ok=True)

    def get(self, name: str) -> Iterator[bytes]:
        """See `Target`."""
        with self._clearly(f"read {name}"):
            place = self._folder / checked_name(name)
            try:
                # Others may write there, and a pipe opens only when somebody writes into it.
                if not S_ISREG(place.stat().st_mode):
                    raise TargetError(
                        f"{name} in {self._folder} is no regular file", "look what made it"
                    )
                file = place.open("rb")
            except FileNotFoundError:
                self._must_be_there()
                raise Absent(f"there is no file {name} in {self._folder}") from None
            with file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece

    def names(self) -> list[str]:
        """See `Target`."""
        with self._clearly("list the files"):
            return sorted(each.name for each in self._folder.iterdir() if is_name(each.name))

    def delete(self, name: str) -> None:
        """See `Target`."""
        with self._clearly(f"delete {name}"):
            try:
                (self._folder / checked_name(name)).unlink()
            except FileNotFoundError:
                self._must_be_there()
                return
            fsync_dir(self._folder)

    def _must_be_there(self) -> None:
        """A file is missing only where its folder is not."""
        if not self._folder.is_dir():
            raise FileNotFoundError(2, os.strerror(2), str(self._folder))

    def _sweep(self, name: str) -> None:
        """Remove what servers of the same cluster have begun and not ended."""
        cluster = "-".join(name.split("-")[:2])
        for begun in (f"{_HIDDEN}{cluster}-*", f"{_TRIAL}*"):
            for left in self._folder.glob(begun):
                left.unlink(missing_ok=True)

    @contextmanager
    def _clearly(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            next_step = "look at the folder, its rights and its disk"
            if not self._folder.is_dir():
                next_step = f"make the folder {self._folder}, or mount it: servers never make it"
            raise TargetError(f"cannot {what} in {self._folder}: {reason}", next_step) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _name(unfinished: Path, place: Path) -> None:
    """Never over a file that is there, where the file system has links."""
    try:
        place.hardlink_to(unfinished)
    except FileExistsError as error:
        raise TargetError(f"there is a file {place.name} already", "it is not replaced") from error
    except OSError:  # a file system without links
        unfinished.rename(place)
