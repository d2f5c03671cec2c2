"""How long a suspect may defend itself, and how well this member itself is (Lifeguard).

The time begins long and falls with every other member that suspects the same one, so that a
member that is slow itself does not have its healthy peers declared dead (Lifeguard, section IV;
docs/wire.md#probing).
"""

from __future__ import annotations

import math

from quorate.gossip.settings import Settings
from quorate.gossip.timers import Timer


def shortest_s(settings: Settings, members: int) -> float:
    """The time with enough confirmations, in a pool of so many members."""
    scale = max(1.0, math.log10(max(1, members)))
    return settings.suspicion_mult * scale * settings.probe_interval_s


def confirmations_wanted(settings: Settings, members: int) -> int:
    """How many others must suspect the same one for the shortest time; 0 in very small pools."""
    wanted = settings.suspicion_mult - 2
    return 0 if members - 2 < wanted else max(0, wanted)


def timeout_s(shortest: float, longest: float, wanted: int, confirmations: int) -> float:
    """The whole time after so many confirmations, in whole milliseconds."""
    if wanted < 1:
        return shortest
    share = math.log(confirmations + 1) / math.log(wanted + 1)
    left = longest - (longest - shortest) * share
    return max(shortest, math.floor(left * 1000) / 1000)


class Suspicion:
    """One running suspicion. `timer` is its end."""

    __slots__ = ("longest", "seen", "shortest", "since", "timer", "wanted")

    def __init__(self, settings: Settings, members: int, sender: str, now: float) -> None:
        self.shortest = shortest_s(settings, members)
        self.longest = self.shortest * settings.suspicion_max_mult
        self.wanted = confirmations_wanted(settings, members)
        self.seen = [sender]  # a few names: the first, and at most `wanted` more
        self.since = now
        self.timer: Timer | None = None

    def end(self) -> float:
        """When the suspect is declared dead, as things are."""
        spent = len(self.seen) - 1
        return self.since + timeout_s(self.shortest, self.longest, self.wanted, spent)

    def confirm(self, sender: str) -> bool:
        """Another one suspects it; True if that is news that shortens the time."""
        if len(self.seen) > self.wanted or sender in self.seen:
            return False
        self.seen.append(sender)
        return True


class Awareness:
    """0 when this member is well; each point makes its probes more patient by one interval."""

    __slots__ = ("_max", "score")

    def __init__(self, most: int) -> None:
        self._max = most
        self.score = 0

    def add(self, delta: int) -> None:
        """Better (negative) or worse."""
        self.score = min(max(self.score + delta, 0), self._max - 1)

    def scaled(self, interval: float) -> float:
        """`interval`, made longer as this member is unwell."""
        return interval * (self.score + 1)
