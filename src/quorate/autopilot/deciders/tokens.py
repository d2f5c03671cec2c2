"""Which tokens have expired: a leader removes them in batches.

It is no matter of safety: each server refuses an expired token by its own clock, at once.
"""

from __future__ import annotations

from itertools import islice

from quorate.state.engine.table import Reader
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.tokens import DELETED_AT_ONCE


def expired(
    state: Reader, after: str, now_ns: int, looked_at_max: int
) -> tuple[tuple[str, ...], str]:
    """Accessors of expired tokens behind `after`, and behind which to go on; "": at the start.

    `now_ns` is Unix time. No more rows are looked at than that, and no more are found than one
    command deletes.
    """
    rows = list(islice(tokens.that_expire(state, after or None), looked_at_max))
    at_end = len(rows) < looked_at_max
    found: list[str] = []
    for accessor, token in rows:
        if token.expires <= now_ns:
            found.append(accessor)
            if len(found) == DELETED_AT_ONCE:
                return tuple(found), accessor
    return tuple(found), "" if at_end else rows[-1][0]
