"""How many files and connections this process may have open, and who gets them.

At the start the soft limit is raised to the hard one. Of what there is a reserve stays for the
log, snapshots, gossip and the other servers: HTTP connections get the rest, and are refused first.
"""

from __future__ import annotations

import resource
from typing import Final

RESERVE: Final = 256
"""Log and snapshots need a dozen, each other server about ten, the rest is for RPC clients."""

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
    return max(limit - min(RESERVE, limit // 2), 1)
