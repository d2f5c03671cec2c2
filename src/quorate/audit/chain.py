"""The hash chain over records of the journal (docs/audit.md#the-chain).

Each lane of the journal is one chain. The hash of a record is SHA-256 over the hash of the record
before it and the canonical encoding of the record. So a change of one record, its removal, or a
record put in between changes every hash behind it, up to the head. The head of the whole journal is
SHA-256 over the heads of its lanes.

Invariant: the encoding never changes. A new field gets a default, and is left out where it has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

HASH_BYTES: Final = 32

_LINK: Final = b"quorate audit record 1\n"
_HEAD: Final = b"quorate audit head 1\n"

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record as it is hashed.

    `lane` and `number` are its place in the chain, `index` that of its log entry, `time_ms` Unix
    time in milliseconds. `accessor` and `name` are those of the token of the caller, `address` is
    where the caller was. `source` names the record of a server's local file that it was taken
    from. `count` is how often it happened, where like events are told as one.
    """

    lane: str
    number: int
    index: int
    time_ms: int
    kind: str
    what: str
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


class LaneHead(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one lane: the number of its next record, and the hash of its last one."""

    lane: str
    next: int
    head: bytes


_TOLD: Final = (
    *("what", "by", "accessor", "name", "address"),
    *("subject", "cause", "force", "outcome", "details"),
)
"""The fields that each form of a record has under the same name."""


def linked(record: object, **more: Any) -> Link:
    """What is hashed of a record: its own fields, and `more`, its place and time among it."""
    return Link(**{name: getattr(record, name) for name in _TOLD}, **more)


def link_hash(before: bytes, link: Link) -> bytes:
    """The hash of a record, 32 bytes; `before` is that of the record before it, or empty."""
    return hashlib.sha256(_LINK + before + _encode(link)).digest()


def head_of(lanes: Iterable[LaneHead]) -> bytes:
    """The head of a journal, 32 bytes, of the ends of all its lanes in their order."""
    ends = [(each.lane, each.next, each.head) for each in lanes]
    return hashlib.sha256(_HEAD + _encode(ends)).digest()
