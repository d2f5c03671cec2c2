"""The leader removes tokens that have expired, in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quorate.autopilot.deciders.tokens import expired
from quorate.errors import QuorateError
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl.tokens import ExpireTokens

log: Final = logging.getLogger("quorate.server")

ROUND_S: Final = 5.0
_PAUSE_S: Final = 0.05
"""Between batches, while there is more to look at."""
_LOOKED_AT_MAX: Final = 2000
"""Rows looked at in one step of the loop: some 2 ms."""


class TokenExpiry:
    """Runs for ever on each server; acts while it leads. `unix_ns` gives Unix nanoseconds."""

    def __init__(
        self,
        state: StateStore,
        leads: Callable[[], bool],
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        unix_ns: Callable[[], int],
    ) -> None:
        self._state = state
        self._leads = leads
        self._apply = apply
        self._unix_ns = unix_ns
        self._after = ""

    async def run(self) -> None:
        """Look, and remove what has expired."""
        while True:
            await asyncio.sleep(_PAUSE_S if self._after else ROUND_S)
            try:
                await self.round()
            except QuorateError as error:  # the next round, or the next leader, does it
                self._after = ""
                log.info("expired tokens could not be removed: %s", error.line())

    async def round(self) -> int:
        """Look at some tokens; how many were removed. Raises QuorateError."""
        if not self._leads():
            self._after = ""
            return 0
        now_ns = self._unix_ns()
        found, self._after = expired(self._state, self._after, now_ns, _LOOKED_AT_MAX)
        if not found:
            return 0
        _, count = await self._apply(encode(ExpireTokens(accessors=found, time_ns=now_ns)))
        log.info("%d expired tokens were removed", count)
        return int(count)
