"""Lamport's clock, as Serf uses it: the order of intents, events and queries.

See docs/wire.md#lamport-clocks.
"""

from __future__ import annotations

from typing import Final

from quorate.gossip.allowance import Allowance

LTIME_MAX: Final = 1 << 63
"""No clock shows more."""

JUMP_MAX: Final = 1 << 40
"""How far ahead of ours another clock may be: one step a millisecond for 34 years."""

JUMPS_PER_S: Final = 1 << 30
"""What comes to that each second: a stranger needs 272 years to use a clock up."""


class LamportClock:
    """Starts at 1 and never falls. `now` is in seconds."""

    __slots__ = ("_jumps", "time")

    def __init__(self, now: float) -> None:
        self.time = 1
        self._jumps = Allowance(float(JUMP_MAX), float(JUMPS_PER_S), now)

    def accepts(self, ltime: int, now: float) -> bool:
        """Whether an honest member's clock can show this. One at its end could say no more."""
        ahead = ltime - self.time
        return 0 <= ltime < LTIME_MAX and (ahead <= 0 or ahead <= self._jumps.left(now))

    def increment(self) -> int:
        """One step on; the time after it."""
        self.time += 1
        return self.time

    def witness(self, seen: int) -> None:
        """Another member's clock showed `seen`: ours is later."""
        if seen >= self.time:
            self._jumps.spend(seen - self.time)
            self.time = seen + 1
