"""A file of a snapshot gets its name when it is whole, and takes that of no other file.

Until then it has none where the file system can do that (O_TMPFILE), so a process that is killed
leaves nothing. Elsewhere it has a name of its own and is locked; the next one in its folder removes
what nobody has locked.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from quorate.cli.commands.snapshot.file import reason
from quorate.cli.context import Failure
from quorate.cli.ending import unwinding

_SUFFIX: Final = ".tmp"
_UNFINISHED: Final = re.compile(r".+\.quorate-[0-9a-f]{16}\.tmp")
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY
_DESCRIPTORS: Final = Path("/proc/self/fd")
_NAMELESS: Final = os.O_RDWR | os.O_CLOEXEC


class Unfinished(NamedTuple):
    """A new file. `path` is None while it has no name."""

    file: BinaryIO
    path: Path | None


def refuse_existing(name: str, command: str) -> None:
    """Raise Failure if there is a file of that name."""
    if os.path.lexists(name):
        raise Failure(
            f'Destination file already exists: "{name}"\n'
            f"For additional help try 'quorate operator snapshot {command} -help'"
        )


@contextmanager
def new_file(name: Path) -> Iterator[Unfinished]:
    """A new file for its owner alone, which is gone afterwards unless it was given its name.

    Under a name that nobody can have made before: an archive holds all secrets. Raises Failure.
    """
    with unwinding():
        try:
            sweep(name.parent)
            unfinished = _without_name(name.parent) or _named(name)
        except (OSError, ValueError) as error:
            raise Failure(
                f"Failed to create file: open {name}{_SUFFIX}: {reason(error)}"
            ) from error
        try:
            with unfinished.file:
                yield unfinished
        finally:
            if unfinished.path is not None:
                unfinished.path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the files that killed processes have begun there."""
    with suppress(OSError):
        for path in [each for each in folder.iterdir() if _UNFINISHED.fullmatch(each.name)]:
            with suppress(OSError):  # another process has it
                _remove_unlocked(path)


def give_name(unfinished: Unfinished, name: Path, *, replace: bool = False) -> None:
    """Durably. Unless `replace`, never over a file that has come there meanwhile."""
    try:
        if replace:
            _replace(unfinished, name)
        elif unfinished.path is None:
            _link(unfinished, name)
        else:
            _link_or_rename(unfinished.path, name)
        folder = os.open(name.parent, _FOLDER_FLAGS)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Failure(f"Failed to name snapshot file: {name}: {reason(error)}") from error


def _without_name(folder: Path) -> Unfinished | None:
    """None where the file system, or the system, cannot do that."""
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag:
        return None
    try:
        descriptor = os.open(folder, _NAMELESS | flag, 0o600)
    except OSError:  # whatever else is wrong is told by `_named`
        return None
    if not (_DESCRIPTORS / str(descriptor)).exists():
        os.close(descriptor)
        return None
    return Unfinished(os.fdopen(descriptor, "w+b"), None)


def _named(name: Path) -> Unfinished:
    unfinished = _beside(name)
    file = open(unfinished, "x+b", opener=_private)  # noqa: SIM115  the caller's to close
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Unfinished(file, unfinished)


def _beside(name: Path) -> Path:
    return name.with_name(f"{name.name}.quorate-{secrets.token_hex(8)}{_SUFFIX}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _remove_unlocked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)


def _link(unfinished: Unfinished, name: Path) -> None:
    folder = os.open(_DESCRIPTORS, _FOLDER_FLAGS)
    try:  # only with a descriptor does Python follow the link in that folder
        source = str(unfinished.file.fileno())
        os.link(source, name, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _replace(unfinished: Unfinished, name: Path) -> None:
    if unfinished.path is not None:
        unfinished.path.rename(name)
        return
    beside = _beside(name)
    _link(unfinished, beside)
    try:
        beside.rename(name)
    except OSError:
        beside.unlink()
        raise


def _link_or_rename(unfinished: Path, name: Path) -> None:
    try:
        name.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        unfinished.rename(name)
