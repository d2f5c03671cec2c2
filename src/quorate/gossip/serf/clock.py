"""Lamport's clock, as Serf uses it: the order of intents, events and queries (gossip-wire, B3)."""

from __future__ import annotations

from typing import Final

LTIME_MAX: Final = 1 << 63
"""No honest clock comes near it; one that is refused cannot make ours overflow."""


def is_possible(ltime: int) -> bool:
    """Whether an honest member's clock can show this."""
    return 0 <= ltime < LTIME_MAX


class LamportClock:
    """Starts at 1 and never falls."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = 1

    def increment(self) -> int:
        """One step on; the time after it."""
        self.time += 1
        return self.time

    def witness(self, seen: int) -> None:
        """Another member's clock showed `seen`: ours is later."""
        self.time = max(self.time, seen + 1)
