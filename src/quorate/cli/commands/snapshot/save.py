"""`operator snapshot save`: the file has its name only when it is whole and durable."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import BinaryIO, Final

from quorate.cli.commands.snapshot.file import contents, reason
from quorate.cli.context import Context, Failure, doing
from quorate.client import Client

_SUFFIX: Final = ".tmp"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY


def save(context: Context) -> int:
    """Save, check, and only then name."""
    name = context.flags.args[0] if context.flags.args else _default_name()
    if os.path.lexists(name):
        raise Failure(
            f'Destination file already exists: "{name}"\n'
            "For additional help try 'quorate operator snapshot save -help'"
        )
    # A new file, under a name that nobody can have made before: the archive holds all secrets.
    unfinished = Path(f"{name}.{secrets.token_hex(8)}{_SUFFIX}")
    with context.client() as client:
        try:
            file = open(unfinished, "x+b", opener=_private)  # noqa: SIM115  closed below
        except (OSError, ValueError) as error:
            raise Failure(
                f"Failed to create file: open {name}{_SUFFIX}: {reason(error)}"
            ) from error
        try:
            with file:
                _fill(client, file, stale=context.flags.on("stale"))
            _give_name(unfinished, Path(name))
        finally:
            unfinished.unlink(missing_ok=True)
    context.out.line(f"State file written to {name}")
    return 0


def _default_name() -> str:
    now = time.time()
    return f"nomad-state-{time.strftime('%Y%m%d', time.gmtime(now))}-{int(now)}.snap"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _fill(client: Client, file: BinaryIO, *, stale: bool) -> None:
    try:
        with doing("Failed to get snapshot file: "):
            client.save_snapshot(file.write, stale=stale)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        with doing("Failed to verify snapshot file: "):
            contents(file.read)
    except OSError as error:
        raise Failure(
            f"Failed to write snapshot file: {reason(error)}", "make room on that disk"
        ) from error


def _give_name(unfinished: Path, name: Path) -> None:
    """Never over a file that has come there meanwhile, where the file system allows it."""
    try:
        try:
            name.hardlink_to(unfinished)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            unfinished.rename(name)
        folder = os.open(name.parent, _FOLDER_FLAGS)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Failure(f"Failed to name snapshot file: {name}: {reason(error)}") from error
