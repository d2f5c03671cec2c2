"""Lines of the stream of events (docs/events.md)."""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One change. `index` is that of the log entry that made it; the payload is by topic."""

    filter_keys: tuple[str, ...] | None = None
    index: int = 0
    key: str = ""
    namespace: str = ""
    payload: dict[str, Any] = {}
    topic: str = ""
    type: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What the journal tells: the payload of the topic Operator. `time` is RFC 3339 in UTC.

    `subject` and `by` are IDs of servers, or words; the names are empty where no server is meant.
    """

    by: str = ""
    by_name: str = ""
    cause: str = ""
    details: dict[str, str] = {}
    force: bool = False
    kind: str = ""
    name: str = ""
    subject: str = ""
    time: str = ""
    what: str = ""


class Missed(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Events of `first` to `last` may be missing here, and why."""

    first: int = 0
    last: int = 0
    reason: str = ""
