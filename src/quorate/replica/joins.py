"""How many servers may come into a configuration by themselves: those that asked to join.

A cluster of the library takes in every server that reaches it. A stranger that invents servers
must not fill the configuration: at most `WAITING_MAX` non-voters that have not caught up or do not
answer stand in it when another one asks, and changes by joiners have a rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from quorate.raft.values.configuration import Configuration, Server
from quorate.runtime.raft import PeerProgress

WAITING_MAX: Final = 3
"""Non-voters that have not caught up, or are not heard, when another server asks to join."""

CHANGES_MAX: Final = 8
"""Changes of the membership that joiners cause at once."""

CHANGES_PER_S: Final = 0.2
"""After these; each is an entry that is kept and sent to all."""


class Joins:
    """See the module; of one leader. `clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left, self._at = float(CHANGES_MAX), clock()

    def take(self) -> str:
        """Count a change; empty, or why it is not made now."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * CHANGES_PER_S, float(CHANGES_MAX))
        self._at = now
        if self._left < 1:
            wait_s = (1 - self._left) / CHANGES_PER_S
            return f"too many servers have asked to join lately: ask again in {wait_s:.0f} s"
        self._left -= 1
        return ""


def waiting(
    configuration: Configuration,
    peers: Iterable[PeerProgress],
    *,
    behind_max: int,
    silent_s: float,
) -> list[Server]:
    """The non-voters that are further behind than `behind_max`, or were not heard for so long."""
    fit = {
        peer.id
        for peer in peers
        if peer.match_index and peer.behind <= behind_max and peer.contact_s <= silent_s
    }
    return [s for s in configuration.servers if not s.is_voter and s.id not in fit]


def too_many(servers: list[Server]) -> str:
    """Why no other server is taken in, with what to do; empty if it is."""
    if len(servers) < WAITING_MAX:
        return ""
    named = ", ".join(f"{server.id} at {server.address}" for server in servers[:WAITING_MAX])
    return (
        f"{len(servers)} non-voters have not caught up or do not answer: {named}; the next server "
        "is taken in when fewer than "
        f"{WAITING_MAX} wait: start them, or remove them with Change(ChangeKind.REMOVE_SERVER, id)"
    )
