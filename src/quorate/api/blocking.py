"""Blocking queries: answer when the data is newer than what the client has.

See docs/http-api.md#blocking-queries.

A query with `index=N` (N > 0) waits while it is certain that what it reads did not change after N:
its key, its prefix, or its table. It is answered when that changes, or after `wait` plus a random
extra of up to a sixteenth of it, which spreads clients that began together. Where nothing is
certain, as after a restart for what is older than it, the answer comes at once. A restored snapshot
ends the wait at once: indexes may have gone back and must not be compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from quorate.acl.rights import Rights
from quorate.api.http.messages import Call
from quorate.state.engine.store import StateStore


class Watched(msgspec.Struct, frozen=True):
    """The rows that a query reads: the record at `key`, the keys with `prefix`, or all.

    Without a table it reads what never changes. `told`: whether a caller with these rights may
    learn when just those rows change.
    """

    table: str = ""
    key: Callable[[Call], str] | None = None
    prefix: Callable[[Call], str] | None = None
    told: Callable[[Call, Rights], bool] | None = None

    def by(self, call: Call, rights: Rights | None) -> Watched:
        """What a caller with these rights watches; None: with rights that are not known.

        That a query waits, or is answered, tells whether there are rows and when they change. A
        caller that may not know this of each of them watches the whole table, which tells nothing.
        """
        if self.key is None and self.prefix is None:
            return self
        if rights is not None:
            may_know = rights.everything or (self.told is not None and self.told(call, rights))
            if may_know:
                return self
        return Watched(self.table)

    def must_wait(self, state: StateStore, call: Call) -> bool:
        """Whether the client has certainly seen all there is."""
        index = call.query.index
        if index <= 0 or not self.table:
            return index > 0
        key, prefix = self._place(call)
        return state.changed_since(self.table, index, key=key, prefix=prefix) is False

    def watch(self, state: StateStore, call: Call, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when it changes, until the result is called."""
        if not self.table:
            return _nothing
        key, prefix = self._place(call)
        return state.watch(self.table, wake, key=key, prefix=prefix)

    def _place(self, call: Call) -> tuple[str | None, str | None]:
        key = None if self.key is None else self.key(call)
        return key, None if self.prefix is None else self.prefix(call)


def _nothing() -> None:
    pass


async def until_newer(
    state: StateStore, watched: Watched, call: Call, random: Random, restores: int
) -> None:
    """Return when there is something newer, the wait is over, or the state was restored.

    `restores` is that of the state when the query came: it may have been restored since, and
    changed, because a task begins later than it is made.
    """
    if state.restores != restores or not watched.must_wait(state, call):
        return
    index = call.query.index
    wait_s = call.query.wait_s * (1 + random.random() / 16)
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        # A client may name an index that is still to come.
        newer = state.index > index or state.restores != restores
        if newer and not woken.done():
            woken.set_result(None)

    timer = loop.call_later(wait_s, _finish, woken)
    cancel = watched.watch(state, call, wake)
    try:
        await woken
    finally:
        cancel()
        timer.cancel()


def _finish(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
