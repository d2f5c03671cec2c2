"""The audit log of one server, as it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from quorate.audit.chain import Link
from quorate.shapes.audit import AuditLane, AuditLog, AuditRecord
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.table import Reader
from quorate.state.tables import journal
from quorate.state.tables.journal import LANES


def audit_log(image: SnapshotImage, server_id: str, *, lane: str = "", most: int = 0) -> AuditLog:
    """The lanes and the newest `most` records, 0: all. `lane`: of this one. In any thread."""
    tables = image.tables
    found = sorted(_records(tables, lane), key=lambda each: (-each.index, each.lane, -each.number))
    return AuditLog(
        server_id=server_id,
        index=image.index,
        head=journal.head(tables).hex(),
        lanes=tuple(_lanes(tables)),
        records=tuple(islice(found, most or None)),
    )


def _lanes(reader: Reader) -> Iterator[AuditLane]:
    for name, lane in zip(LANES, journal.state(reader).lanes, strict=False):
        yield AuditLane(
            lane=name,
            first=lane.first,
            next=lane.next,
            since=-1 if lane.since is None else lane.since,
            base=lane.base.hex(),
            head=lane.head.hex(),
        )


def _records(reader: Reader, wanted: str) -> Iterator[AuditRecord]:
    for which, name in enumerate(LANES):
        if wanted in {"", name}:
            for link, made in journal.links(reader, which, 0):
                yield record_of(link, made)


def record_of(link: Link, made: bytes) -> AuditRecord:
    """A record and its hash as they are shown."""
    return AuditRecord(
        lane=link.lane,
        number=link.number,
        index=link.index,
        time=link.time_ms,
        kind=link.kind,
        what=link.what,
        by=link.by,
        accessor=link.accessor,
        name=link.name,
        address=link.address,
        subject=link.subject,
        cause=link.cause,
        force=link.force,
        outcome=link.outcome,
        count=link.count,
        source=link.source,
        details=link.details,
        hash=made.hex(),
    )
