"""How much of the loop packets may take: no flood of them keeps a server from the rest of its work.

What a packet costs is measured, in CPU time of the loop's thread. The hosts of members that have
answered a ping have an allowance each, all other hosts have one together: so a flood leaves the
members at other hosts their hearing. A packet over
the allowance is thrown away unread. Gossip bears lost packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from quorate.gossip.allowance import Allowance

MEMBER_S: Final = 0.05
MEMBER_SHARE: Final = 0.1
"""Of one member's host: at once, and of each second. Honest ones take some 2 ms of a second."""

OTHERS_S: Final = 0.02
OTHERS_SHARE: Final = 0.05
"""Of all other hosts together."""

PACKET_S: Final = 0.004
"""Of one packet: then the rest of its messages is left out."""

_LOOK_INTERVAL_S: Final = 1.0  # for it looks at all members


class PacketBudget:
    """See the module. `clock` gives monotonic seconds, `hosts` those of members that answer."""

    def __init__(self, clock: Callable[[], float], hosts: Callable[[], Iterable[str]]) -> None:
        self._clock = clock
        self._hosts = hosts
        self._others = Allowance(OTHERS_S, OTHERS_SHARE, clock())
        self._members: dict[str, Allowance] = {}
        self._look_at = 0.0

    def of(self, host: str) -> Allowance | None:
        """The budget that pays for a packet of that origin; None if it is used up."""
        now = self._clock()
        allowance = self._members.get(host)
        if allowance is None:
            if now >= self._look_at:
                self._look(now)
            allowance = self._members.get(host, self._others)
        return allowance if allowance.left(now) > 0.0 else None

    def _look(self, now: float) -> None:
        self._look_at = now + _LOOK_INTERVAL_S
        known = self._members
        self._members = {
            host: known.get(host) or Allowance(MEMBER_S, MEMBER_SHARE, now)
            for host in self._hosts()
        }
