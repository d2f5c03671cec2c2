"""`operator snapshot state`: the records of an archive, a line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from quorate.archive.contents import MAGIC, begin, rows
from quorate.archive.reading import Read, read_archive
from quorate.cli.commands.snapshot.chosen import Chosen
from quorate.cli.commands.snapshot.file import opened
from quorate.cli.context import Context, Failure, doing
from quorate.nomad.state import BEGIN, records


def state(context: Context) -> int:
    """Check the whole archive first, then show what is in it. Secrets are shown by their size."""
    flags = context.flags
    only = flags.text("type")
    chosen = Chosen(flags.text("filter"))
    before = "Failed to read archive file: "
    with opened(flags.args[0], before) as file, doing(before):
        read_archive(file.read)
        file.seek(0)
        found: set[str] = set()

        def show(read: Read) -> None:
            for record in _shown_records(read, only, found):
                if chosen.fits(record):
                    context.out.line(json.dumps(record, ensure_ascii=False))

        read_archive(file.read, show)
    if only and only not in found:
        raise Failure(
            f'There is no record of type "{only}"; the types in this archive: '
            f"{', '.join(sorted(found)) or 'none'}"
        )
    return 0


def _shown_records(read: Read, only: str, found: set[str]) -> Iterator[dict[str, Any]]:
    """The records of the type `only`, or all; the types of all are put into `found`."""
    begun = begin(read)
    if begun == MAGIC:
        for row in rows(read, begun):
            found.add(row.table)
            if only in {"", row.table}:
                yield {"Type": row.table, "Key": row.key, "Value": _shown(row.fields)}
    elif begun[:1] == BEGIN:
        for record in records(read, begun, {only} if only else None):
            found.add(record.type)
            if only in {"", record.type}:
                yield {"Type": record.type, "Value": record.value}
    else:
        raise Failure("The state in it has no form that this version can read.")


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value
