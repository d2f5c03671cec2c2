"""`operator snapshot save`: the file has its name only when it is whole and durable."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from quorate.archive.redacting import redact
from quorate.cli.commands.snapshot.file import contents, reason
from quorate.cli.commands.snapshot.naming import give_name, new_file, refuse_existing
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.progress import Progress
from quorate.client import Client


def save(context: Context) -> int:
    """Save, check, and only then name."""
    name = context.flags.args[0] if context.flags.args else _default_name()
    refuse_existing(name, "save")
    with context.client() as client, new_file(Path(name)) as unfinished:
        file = unfinished.file
        try:
            if context.flags.on("redact"):
                _fill_redacted(context, client, file, Path(name).parent)
            else:
                _receive(context, client, file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            with doing("Failed to verify snapshot file: "):
                contents(file.read)
        except OSError as error:
            raise Failure(
                f"Failed to write snapshot file: {reason(error)}", "make room on that disk"
            ) from error
        give_name(unfinished, Path(name))
    context.out.line(f"State file written to {name}")
    return 0


def _default_name() -> str:
    now = time.time()
    return f"nomad-state-{time.strftime('%Y%m%d', time.gmtime(now))}-{int(now)}.snap"


def _receive(context: Context, client: Client, file: BinaryIO) -> None:
    with doing("Failed to get snapshot file: "), Progress(context.out, "Receiving") as progress:

        def write(piece: bytes) -> None:
            file.write(piece)
            progress.moved(len(piece))

        client.save_snapshot(write, stale=context.flags.on("stale"))


def _fill_redacted(context: Context, client: Client, file: BinaryIO, folder: Path) -> None:
    """What has come lies in a file without a name meanwhile, which goes with this process."""
    with tempfile.TemporaryFile(dir=folder) as whole:
        _receive(context, client, whole)
        with doing("Failed to redact snapshot file: "):
            redact(whole, file.write)
