"""Log lines about refused peers: at a bounded rate, as printable text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from quorate.net.refusals import Refusals
from quorate.pool.refusals import Recent, printable

log = logging.getLogger("quorate.server")

LINES_MAX: Final = 60
"""Lines at once, whatever the reasons and origins are called."""

LINES_PER_S: Final = 1

REASONS_MAX: Final = 5
"""Reasons that are named for one origin within a minute: its own words may be in them."""


class RefusalLog:
    """See the module. `clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.recent = Recent(clock)
        self._refusals = Refusals(
            clock, at_once=LINES_MAX, per_s=LINES_PER_S, reasons_max=REASONS_MAX
        )

    def tell(self, where: str, why: str) -> None:
        """A peer at `where` ("host:port", or a name) was refused something."""
        self.recent.note(where.rpartition(":")[0] or where, why)
        if self._refusals.may_tell(where, why):
            log.warning("refused %s: %s", printable(where), printable(why, 600))
