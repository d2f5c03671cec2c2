"""Where on a simulated disk a bit of the log can flip, and what is lost with it.

Invariant: wherever it is, the next start must notice, or what is there has been rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from quorate.storage.log import records as log_records
from quorate.storage.log.frames import FRAME, is_unwritten, read_frame
from quorate.testing.sim.machines.sectors import SectorDisk
from quorate.wire.raft.entries import decode_entry

ENTRY: Final = "entry"
GONE: Final = "entry that is gone"
SETTING: Final = "setting"
SPACE: Final = "space behind the log"

TermAt = Callable[[int], int | None]


class Spot(NamedTuple):
    """A sector of a file, and what lies in it.

    An entry of the log (and whatever was written with it), entries only that were compacted or
    truncated since, something else than entries (term, vote, the head of a file, ...), or nothing
    that counts.
    """

    kind: str
    file: str
    sector: int


def spots_of(sectors: SectorDisk, term_at: TermAt) -> list[Spot]:
    """All there are; `term_at` says which entries the log has."""
    return [
        Spot(kind, name, at // FRAME)
        for name in sectors.files
        for at, kind in _kinds(bytes(sectors.files[name].content), term_at)
    ]


def _kinds(content: bytes, term_at: TermAt) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(content):
        payload, parts = _record(content, at)
        kind = SPACE if payload is None else _kind(payload, term_at)
        for part in range(parts):
            yield at + part * FRAME, kind
        at += parts * FRAME


def _record(content: bytes, at: int) -> tuple[bytes | None, int]:
    """The payload of the record there and its number of frames; (None, 1) if there is none."""
    payload, part, parts = b"", 0, 1
    while part < parts:
        data = content[at + part * FRAME : at + (part + 1) * FRAME]
        frame = None if is_unwritten(data) else read_frame(data)
        if frame is None or frame.part != part:
            return None, 1  # not written, or what a torn write has left
        payload += frame.body[: frame.used]
        part, parts = part + 1, frame.parts
    return payload, parts


def _kind(payload: bytes, term_at: TermAt) -> str:
    terms = []
    for item in log_records.items_of(payload):
        if item.kind == log_records.ENTRY:
            entry = decode_entry(payload[item.start + log_records.ENTRY_BODY : item.end])
            terms.append((entry.term, term_at(entry.index)))
    if not terms:
        return SETTING
    return ENTRY if any(term == there for term, there in terms) else GONE
