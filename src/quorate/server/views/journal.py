"""The journal as people read it: newest first, with the names of servers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from quorate.state.engine.table import Reader
from quorate.state.tables import servers
from quorate.state.tables.journal import Details, JournalRecord, newest_first


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event (`quorate.state.tables.journal`); `index` is that of the log entry that told it.

    `name` is that of the server `subject`, `by_name` that of the server `by`; they are empty where
    these are no servers that the cluster knows.
    """

    index: int
    time_ms: int
    kind: str
    what: str
    subject: str = ""
    name: str = ""
    by: str = ""
    by_name: str = ""
    cause: str = ""
    force: bool = False
    details: Details = ()


def history(
    reader: Reader, *, kinds: frozenset[str] = frozenset(), most: int = 100
) -> list[JournalEntry]:
    """The newest `most` events, of these kinds or of all."""
    return list(islice(_entries(reader, kinds), most))


def _entries(reader: Reader, kinds: frozenset[str]) -> Iterator[JournalEntry]:
    for record in newest_first(reader):
        if not kinds or record.kind in kinds:
            yield entry_of(reader, record)


def entry_of(reader: Reader, record: JournalRecord) -> JournalEntry:
    """The record with the names of servers."""
    return JournalEntry(
        index=record.create_index,
        time_ms=record.time_ms,
        kind=record.kind,
        what=record.what,
        subject=record.subject,
        name=_name(reader, record.subject),
        by=record.by,
        by_name=_name(reader, record.by),
        cause=record.cause,
        force=record.force,
        details=record.details,
    )


def _name(reader: Reader, server_id: str) -> str:
    known = servers.by_id(reader, server_id)
    return "" if known is None else known.name
