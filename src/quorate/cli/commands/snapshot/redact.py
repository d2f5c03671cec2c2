"""`operator snapshot redact`: an archive without root keys and texts of values."""

from __future__ import annotations

import os
from pathlib import Path

from quorate.archive.redacting import redact as redacted
from quorate.cli.commands.snapshot.file import contents, opened, reason
from quorate.cli.commands.snapshot.naming import give_name, new_file, refuse_existing
from quorate.cli.context import Context, Failure, doing


def redact(context: Context) -> int:
    """Write it beside the file, check it, and only then put it in the file's place."""
    source = context.flags.args[0]
    target = context.flags.text("out")
    if target:
        refuse_existing(target, "redact")
    with opened(source, "Error opening snapshot file: ") as archive:
        name = Path(target or os.path.realpath(source))
        with new_file(name) as unfinished:
            file = unfinished.file
            try:
                with doing("Error redacting snapshot: "):
                    redacted(archive, file.write)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                with doing("Failed to verify snapshot file: "):
                    contents(file.read)
            except OSError as error:
                raise Failure(
                    f"Failed to write snapshot file: {reason(error)}", "make room on that disk"
                ) from error
            give_name(unfinished, name, replace=not target)
    context.out.line(f"Redacted snapshot written to {target or source}")
    return 0
