"""How many files and connections this process may have open, and who gets them.

At the start the soft limit is raised to the hard one. Of what there is a reserve stays for the
log, snapshots, gossip and the other servers: HTTP connections get the rest, and are refused first.
A quarter of the reserve is never a connection's that others opened.
"""

from __future__ import annotations

import resource
from typing import Final

RESERVE: Final = 256
"""Fewest that clients do not get, if there are twice as many: log and snapshots need a dozen, each
other server about ten, and forwarding one for each request that it waits for."""

_RESERVED_PART: Final = 3
"""Where there are more, one of so many."""

_RESERVE_MAX: Final = 8192

FEW: Final = 256
"""With fewer than this in all, it is said at the start that they are few."""


def raise_limit() -> int:
    """Raise the soft limit as far as it goes; how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # the system's own limit is below the hard one
            return soft
    return hard


def for_http(limit: int) -> int:
    """How many HTTP connections there may be with a limit of `limit` descriptors."""
    return max(limit - _reserve(limit), 1)


def for_rpc(limit: int) -> int:
    """How many connections there may be at the RPC port; those that this server opens are others.

    Three quarters of the reserve; the rest is for files, gossip and what this server opens itself.
    """
    return max(_reserve(limit) * 3 // 4, 1)


def _reserve(limit: int) -> int:
    return max(min(RESERVE, limit // 2), min(limit // _RESERVED_PART, _RESERVE_MAX))
