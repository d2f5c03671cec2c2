"""Archives on this machine: opened, checked whole, and summed up. No agent is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from quorate import given_files
from quorate.archive.contents import MAGIC, StateFacts, TypeCount, begin, counted, rows
from quorate.archive.meta import ArchiveMeta
from quorate.archive.reading import Read, read_archive
from quorate.cli.context import Failure
from quorate.nomad.state import BEGIN, records


class Contents(msgspec.Struct, frozen=True):
    """The contents of an archive. `kind` is empty where the form of its state is not known here.

    `root_keys` is how many root keys are in it in the clear, `wrapped_by` are the IDs of the keys
    with which others are wrapped.
    """

    meta: ArchiveMeta
    kind: str
    types: tuple[TypeCount, ...]
    root_keys: int = 0
    wrapped_by: tuple[str, ...] = ()


@contextmanager
def opened(
    path: str, before: str, *, quoted: bool = False, stream: bool = True
) -> Iterator[BinaryIO]:
    """The file at `path`, or the pipe. Raises Failure, whose text begins with `before`."""
    try:
        file = given_files.opened(path, stream=stream)
    except (OSError, ValueError) as error:
        text = f"open {path}: {reason(error)}"
        raise Failure(before + (f'"{text}"' if quoted else text)) from error
    with file:
        yield file


def reason(error: Exception) -> str:
    """The system's words, as Go writes them."""
    words = getattr(error, "strerror", None) or str(error)
    return words[:1].lower() + words[1:]


def contents(read: Read) -> Contents:
    """Read and check an archive to its end. Raises ArchiveError."""
    kind = ""
    types: tuple[TypeCount, ...] = ()
    facts: StateFacts | None = None

    def on_state(state: Read) -> None:
        nonlocal kind, types, facts
        begun = begin(state)
        if begun == MAGIC:
            kind, facts = "Quorate", StateFacts()
            types = counted((row.table, row.size) for row in rows(state, begun, facts))
        elif begun[:1] == BEGIN:
            kind = "Nomad"
            types = counted((record.type, record.size) for record in records(state, begun))

    checked = read_archive(read, on_state)
    if facts is not None:
        facts.compare(checked.meta)
    facts = facts or StateFacts()
    return Contents(checked.meta, kind, types, facts.root_keys, facts.wrapped_by)
