"""The audit log as an operator sees it (docs/audit.md)."""

from __future__ import annotations

import msgspec

from quorate.shapes.shape import Index


class AuditLane(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One lane, which is one chain. Hashes are hexadecimal.

    `first` is the number of the oldest record that is kept, `next` that of the next one. `since` is
    the number of the first record with a hash, -1 if there is none. `base` is the hash before the
    oldest record that is kept, `head` that of the newest.
    """

    lane: str = ""
    first: int = 0
    next: int = 0
    since: int = -1
    base: str = ""
    head: str = ""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One record; docs/audit.md#what-a-record-says. `time` is Unix time in milliseconds."""

    lane: str = ""
    number: int = 0
    index: Index = 0
    time: int = 0
    kind: str = ""
    what: str = ""
    by: str = ""
    accessor: str = ""
    name: str = ""
    address: str = ""
    subject: str = ""
    cause: str = ""
    force: bool = False
    outcome: str = ""
    count: int = 1
    source: str = ""
    details: tuple[tuple[str, str], ...] = ()
    hash: str = ""


class AuditLog(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/audit`: what the server `server_id` holds at `index`, the newest first.

    `waiting` is how many records of its local file wait for a leader that enters them, `damaged`
    says what is wrong with that file.
    """

    server_id: str = msgspec.field(name="ServerID", default="")
    index: Index = 0
    head: str = ""
    lanes: tuple[AuditLane, ...] = ()
    records: tuple[AuditRecord, ...] = ()
    waiting: int = 0
    damaged: tuple[str, ...] = ()
