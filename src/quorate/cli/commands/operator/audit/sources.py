"""Where audit records come from: servers, and files of a sink."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from quorate.audit.chain import Link, linked
from quorate.audit.check import LINKS_MAX, Chained, LaneView
from quorate.cli.context import Failure
from quorate.client import AuditLane, AuditRecord
from quorate.given_files import opened

LINE_BYTES_MAX: Final = 1 << 20
ENTERED: Final = "RecordEntered"
"""The stage of the lines that hold a record of the journal; others are requests."""

_NUMBER_END: Final = 2**63
_STAGE: Final = b'"RecordEntered"'


class _Payload(msgspec.Struct, frozen=True):
    stage: str
    record: AuditRecord
    before: str = ""


class _Line(msgspec.Struct, frozen=True):
    payload: _Payload


_decode: Final = msgspec.json.Decoder(_Line).decode


def link_of(record: AuditRecord) -> Link:
    """What is hashed of a record."""
    return linked(
        record,
        lane=record.lane,
        number=record.number,
        index=record.index,
        time_ms=record.time,
        kind=record.kind,
        count=record.count,
        source=record.source,
    )


def chained(record: AuditRecord, before: str | None = None) -> Chained:
    """A record with its hash. Raises ValueError for what is no hash or no number of a record."""
    _check_numbers(record.number, record.index, record.time, record.count)
    return Chained(
        link=link_of(record),
        hash=bytes.fromhex(record.hash),
        before=None if before is None else bytes.fromhex(before),
    )


def view_of(lane: AuditLane) -> LaneView:
    """A lane as it is checked. Raises ValueError for what is no hash or no number."""
    _check_numbers(lane.first, lane.next, lane.since + 1)
    return LaneView(
        lane=lane.lane,
        first=lane.first,
        next=lane.next,
        since=None if lane.since < 0 else lane.since,
        base=bytes.fromhex(lane.base),
        head=bytes.fromhex(lane.head),
    )


def _check_numbers(*numbers: int) -> None:
    """Raises ValueError for one that no record has, and that could not be hashed."""
    for each in numbers:
        if not 0 <= each < _NUMBER_END:
            raise ValueError(f"{each} is no number of a record")


def of_file(path: str) -> tuple[list[Chained], list[str]]:
    """The records of a sink's file, and what of its lines cannot be read. Raises Failure."""
    try:
        with opened(path, stream=True) as file:
            return _read(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure(f"cannot read {path}: {reason}", "give files of an audit sink") from error


def _read(file: BinaryIO) -> tuple[list[Chained], list[str]]:
    records: list[Chained] = []
    problems: list[str] = []
    for number, line in enumerate(_lines(file), start=1):
        if _STAGE not in line:
            continue
        try:
            found = _decode(line).payload
            if found.stage == ENTERED:
                records.append(chained(found.record, found.before))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            problems.append(f"line {number} cannot be read")
        if len(records) > LINKS_MAX:
            problems.append(f"it has more than {LINKS_MAX} records: the rest was not looked at")
            break
    return records, problems


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        yield line
