"""What peers are refused for, in the log: at a bounded rate, as printable text.

One line a minute for each origin and reason, and a total rate, since strangers choose both.
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

_SILENCE_S: Final = 60.0
_KEYS_MAX: Final = 1000


class RefusalLog:
    """See the module. `clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self._lines = Allowance(float(LINES_MAX), float(LINES_PER_S), clock())

    def tell(self, where: str, why: str) -> None:
        """A peer at `where` ("host:port", or a name) was refused something."""
        key, now = (where.rpartition(":")[0] or where, why[:60]), self._clock()
        if now - self._said.get(key, float("-inf")) <= _SILENCE_S or not self._lines.take(now):
            return
        if len(self._said) > _KEYS_MAX:
            self._said.clear()
        self._said[key] = now
        log.warning("refused %s: %s", printable(where), printable(why, 600))
