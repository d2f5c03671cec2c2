"""Counting what is refused, and saying so at most once a minute for each origin.

A sender of garbage costs a counter, and no more of the log than any other sender. All lines that
packets cause have one rate together: strangers choose their origins, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from quorate.gossip.allowance import Allowance
from quorate.metrics import Metrics

log = logging.getLogger("quorate.pool")

PREFIX: Final = "nomad.gossip.refused."
"""Before the reason in a counter's name; ".all" counts them together."""

LINES_MAX: Final = 60
"""Lines at once, whatever causes them."""

LINES_PER_S: Final = 1

_SILENCE_S: Final = 60.0
_ORIGINS_MAX: Final = 1024
_FORGET_INTERVAL_S: Final = 1.0  # it looks at all of them
_RECENT_MAX: Final = 16


class Told(NamedTuple):
    """A refusal: of which origin, why, how often, and how many seconds ago at last."""

    where: str
    why: str
    times: int
    ago_s: float


class Recent:
    """The newest refusals, a few of each origin and reason: strangers choose both."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[int, float]] = {}

    def note(self, where: str, why: str) -> None:
        """One more; the one that is longest ago is forgotten for it."""
        key = (printable(where, 128), printable(why))
        count, _ = self._kept.pop(key, (0, 0.0))
        while len(self._kept) >= _RECENT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (count + 1, self._clock())

    def all(self) -> list[Told]:
        """All that are kept, the newest first."""
        now = self._clock()
        kept = reversed(self._kept.items())
        return [Told(where, why, count, now - at) for (where, why), (count, at) in kept]


class Refusals:
    """See the module. `clock` gives seconds, monotonic."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self.recent = Recent(clock)
        self._said: dict[str, tuple[float, int]] = {}  # origin: silent until, refused since
        self._forget_at = 0.0
        self._lines = Allowance(float(LINES_MAX), float(LINES_PER_S), clock())

    def may_log(self) -> bool:
        """Whether there may be one more line that a packet has caused."""
        return self._lines.take(self._clock())

    def count(self, reason: str, origin: str, detail: str) -> None:
        """Something from `origin` (an IP address) was refused for `reason`, a counter's name."""
        self._metrics.incr(PREFIX + "all")
        self._metrics.incr(PREFIX + reason)
        self.recent.note(origin, detail)
        self.tell(origin, f"refused gossip from {origin or 'a stream'}: {printable(detail)}")

    def tell(self, origin: str, line: str) -> None:
        """A line of the log about something at `origin`, if there may be one now."""
        now = self._clock()
        until, silent = self._said.get(origin, (0.0, 0))
        if now < until:
            self._said[origin] = (until, silent + 1)
            return
        if len(self._said) >= _ORIGINS_MAX and origin not in self._said and not self._forget(now):
            return  # a flood of origins: the counters tell
        if not self.may_log():
            return
        self._said[origin] = (now + _SILENCE_S, 0)
        more = f" ({silent} more since the last such line)" if silent else ""
        log.warning("%s%s", line, more)

    def _forget(self, now: float) -> bool:
        """Drop origins that may be named again; True if there is room now."""
        if now < self._forget_at:
            return False
        self._forget_at = now + _FORGET_INTERVAL_S
        self._said = {o: kept for o, kept in self._said.items() if kept[0] > now}
        return len(self._said) < _ORIGINS_MAX


def printable(text: str, most: int = 300) -> str:
    """Text from outside as one line that can do nothing to a terminal or a log."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])
