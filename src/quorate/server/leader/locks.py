"""The leader ends the locks that were not renewed in time, and the delays after them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quorate.autopilot.deciders.expiring import Memory, expiring
from quorate.errors import QuorateError, RestoreUnderWay
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables.locks import ExpireLock, LockRow, all_locks

log: Final = logging.getLogger("quorate.server")

ROUND_S: Final = 0.1
"""From look to look: small beside the least TTL of 10 s."""

_AT_ONCE: Final = 256


class LockKeeper:
    """Runs for ever on each server; acts while it leads.

    `now` is a clock that runs on while the machine is suspended, `unix_ns` the time of day in
    nanoseconds.
    """

    def __init__(
        self,
        state: StateStore,
        leads: Callable[[], bool],
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        now: Callable[[], float],
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._state = state
        self._leads = leads
        self._apply = apply
        self._now = now
        self._unix_ns = unix_ns
        self._seen: Memory = {}

    async def run(self) -> None:
        """Look, and end what is over; that it cannot is told once."""
        told = False
        while True:
            await asyncio.sleep(ROUND_S)
            rows = all_locks(self._state)
            if not self._leads() or not rows:
                self._seen = {}
                continue
            self._seen, over = expiring(rows, self._seen, self._now())
            try:
                await asyncio.gather(*[self._end(row) for row in over[:_AT_ONCE]])
            except RestoreUnderWay:
                pass  # it ends all locks
            except QuorateError as error:  # the next round, or the next leader, does it
                if not told:
                    log.info("locks that are over could not be ended: %s", error.line())
                told = True
            else:
                told = False

    async def _end(self, row: LockRow) -> None:
        command = ExpireLock(
            namespace=row.namespace,
            path=row.path,
            since=row.modify_index,
            time_ns=self._unix_ns(),
        )
        await self._apply(encode(command))
