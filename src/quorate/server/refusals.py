"""Log lines about refused peers: at a bounded rate, as printable text.

One line a minute for each origin and reason, a few for each origin, and a total rate: strangers
choose the words of a reason, and some choose origins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from quorate.gossip.allowance import Allowance
from quorate.pool.refusals import printable

log = logging.getLogger("quorate.server")

LINES_MAX: Final = 60
"""Lines at once, whatever the reasons and origins are called."""

LINES_PER_S: Final = 1

REASONS_MAX: Final = 5
"""Reasons that are named for one origin within a minute: its own words may be in them."""

_SILENCE_S: Final = 60.0
_ORIGINS_MAX: Final = 1000


class RefusalLog:
    """See the module. `clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[str, dict[str, float]] = {}  # by origin: when a reason was named
        self._lines = Allowance(float(LINES_MAX), float(LINES_PER_S), clock())

    def tell(self, where: str, why: str) -> None:
        """A peer at `where` ("host:port", or a name) was refused something."""
        origin, reason, now = where.rpartition(":")[0] or where, why[:60], self._clock()
        named = self._said.get(origin, {})
        named = {each: at for each, at in named.items() if now - at <= _SILENCE_S}
        if reason in named or len(named) >= REASONS_MAX or not self._lines.take(now):
            return
        if len(self._said) >= _ORIGINS_MAX:
            self._said.clear()
        self._said[origin] = {**named, reason: now}
        log.warning("refused %s: %s", printable(where), printable(why, 600))
