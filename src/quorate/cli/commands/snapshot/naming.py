"""A file of a snapshot gets its name when it is whole, and takes that of no other file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from quorate.cli.commands.snapshot.file import reason
from quorate.cli.context import Failure

_SUFFIX: Final = ".tmp"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY


def refuse_existing(name: str, command: str) -> None:
    """Raise Failure if there is a file of that name."""
    if os.path.lexists(name):
        raise Failure(
            f'Destination file already exists: "{name}"\n'
            f"For additional help try 'quorate operator snapshot {command} -help'"
        )


@contextmanager
def new_file(name: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file for its owner alone, which is gone afterwards unless it was given its name.

    Under a name that nobody can have made before: an archive holds all secrets. Raises Failure.
    """
    unfinished = name.with_name(f"{name.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        file = open(unfinished, "x+b", opener=_private)  # noqa: SIM115  closed below
    except (OSError, ValueError) as error:
        raise Failure(f"Failed to create file: open {name}{_SUFFIX}: {reason(error)}") from error
    try:
        with file:
            yield file, unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def give_name(unfinished: Path, name: Path, *, replace: bool = False) -> None:
    """Durably. Unless `replace`, never over a file that has come there meanwhile."""
    try:
        if replace:
            unfinished.rename(name)
        else:
            _link(unfinished, name)
        folder = os.open(name.parent, _FOLDER_FLAGS)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Failure(f"Failed to name snapshot file: {name}: {reason(error)}") from error


def _link(unfinished: Path, name: Path) -> None:
    try:
        name.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        unfinished.rename(name)
