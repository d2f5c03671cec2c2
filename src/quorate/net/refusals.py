"""Which refusals of peers a person is told of: a bounded rate of them, whatever strangers say.

One a minute for each origin and reason, a few reasons for each origin, and a rate of all together:
strangers choose the words of a reason, and some choose origins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REASONS_MAX: Final = 5
"""Reasons that are named for one origin within a minute: its own words may be in them."""

TOLD_MAX: Final = 60
"""Refusals at once, whatever the reasons and origins are called."""

TOLD_PER_S: Final = 1

_SILENCE_S: Final = 60.0
_ORIGINS_MAX: Final = 1000


class Refusals:
    """See the module. `clock` gives seconds, monotonic."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        at_once: int = TOLD_MAX,
        per_s: float = TOLD_PER_S,
        reasons_max: int = REASONS_MAX,
    ) -> None:
        self._clock = clock
        self._at_once, self._per_s, self._reasons_max = at_once, per_s, reasons_max
        self._left, self._at = float(at_once), clock()
        self._said: dict[str, dict[str, float]] = {}  # by origin: when a reason was named

    @property
    def origins(self) -> tuple[str, ...]:
        """Those that are remembered."""
        return tuple(self._said)

    def may_tell(self, where: str, why: str) -> bool:
        """Whether to tell that a peer at `where` ("host:port", or a name) was refused something."""
        origin, reason, now = where.rpartition(":")[0] or where, why[:60], self._clock()
        origin = origin[:300]
        named = self._said.get(origin, {})
        named = {each: at for each, at in named.items() if now - at <= _SILENCE_S}
        if reason in named or len(named) >= self._reasons_max or not self._take(now):
            return False
        if len(self._said) >= _ORIGINS_MAX:
            self._said.clear()
        self._said[origin] = {**named, reason: now}
        return True

    def _take(self, now: float) -> bool:
        self._left = min(self._left + (now - self._at) * self._per_s, float(self._at_once))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
