"""Blocking queries: answer when the data is newer than what the client has (http-api 1.6).

A query with `index=N` (N > 0) is answered when the index of its data is greater than N, or after
`wait` plus a random extra of up to a sixteenth of it, which spreads clients that began together.
A restored snapshot ends the wait at once: indexes may have gone back and must not be compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from quorate.api.http.messages import Call
from quorate.state.engine.store import StateStore


class Watched(msgspec.Struct, frozen=True):
    """The table a query reads, and the index that its answer would have now."""

    table: str
    index: Callable[[Call], int]

    def must_wait(self, call: Call) -> bool:
        """Whether the client has seen all there is."""
        return call.query.index > 0 and self.index(call) <= call.query.index


async def until_newer(state: StateStore, watched: Watched, call: Call, random: Random) -> None:
    """Return when there is something newer, the wait is over, or the state was restored."""
    wait_s = call.query.wait_s * (1 + random.random() / 16)
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    restores = state.restores

    def wake() -> None:
        if not woken.done() and (state.restores != restores or not watched.must_wait(call)):
            woken.set_result(None)

    timer = loop.call_later(wait_s, _finish, woken)
    cancel = state.watch(watched.table, wake)
    try:
        await woken
    finally:
        cancel()
        timer.cancel()


def _finish(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
