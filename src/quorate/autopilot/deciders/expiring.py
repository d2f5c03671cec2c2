"""Which locks have expired: a leader counts from when it saw them acquired or renewed.

Invariant: no lock is ended before its TTL has passed since the entry that renewed it last was
applied on this leader. A leader that has just come to lead has seen none, so all begin again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from quorate.state.tables.locks import LockRow

_NS_PER_S = 1_000_000_000


class Seen(NamedTuple):
    """A lock as it was seen: at which entry, and from when on it is over (seconds of the clock)."""

    since: int
    ends_at: float


Memory = Mapping[str, Seen]
"""By key of the lock."""


def expiring(rows: Mapping[str, LockRow], seen: Memory, now: float) -> tuple[Memory, list[LockRow]]:
    """What to remember, and the rows whose TTL, or delay, is over."""
    remembered: dict[str, Seen] = {}
    over = []
    for key, row in rows.items():
        before = seen.get(key)
        if before is None or before.since != row.modify_index:
            length_ns = row.ttl_ns if row.lock_id else row.delay_ns
            before = Seen(row.modify_index, now + length_ns / _NS_PER_S)
        elif before.ends_at <= now:
            over.append(row)
        remembered[key] = before
    return remembered, over
