"""How long this server refuses votes, kept so that a restart with shorter settings keeps to it.

A follower tells its leader for how long it will vote for no other one, and a lease may rely on
that: also when the server is started again meanwhile, with a shorter election timeout.

Invariant: no promise is given that is longer than the one on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from quorate.net.threads import in_thread
from quorate.raft.node import Node
from quorate.raft.settings import Settings


class PromiseStore(Protocol):
    """Where the longest promise is kept; a data folder is one (`storage.folder`)."""

    @property
    def promise_s(self) -> float:
        """The longest promise, in seconds, that may still be running; 0 if none was given."""

    def set_promise(self, seconds: float) -> None:
        """Make this the longest, durably; waits for the disk. Raises QuorateError."""


class PromiseInMemory:
    """For a replica that is never started a second time on the same data."""

    def __init__(self) -> None:
        self.promise_s = 0.0

    def set_promise(self, seconds: float) -> None:
        """See the module."""
        self.promise_s = seconds


class Promises:
    """Gives a node the settings that it may use. All calls are for one event loop."""

    def __init__(self, store: PromiseStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._durable_s = store.promise_s
        self._writing = asyncio.Lock()

    @property
    def durable_s(self) -> float:
        """The longest promise that may be given now."""
        return self._durable_s

    async def allow(self, settings: Callable[[], Settings]) -> Settings:
        """These settings, as they are once the promises that they make are durable."""
        async with self._writing:
            while (seconds := settings().election_timeout_s) > self._durable_s:
                await in_thread(self._store.set_promise, seconds)
                self._durable_s = seconds
            return settings()

    async def shorten(self, node: Node) -> None:
        """When the longer promises of `node` have run out, forget them on the disk too."""
        while (left_s := self._left_s(node)) is not None:
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            async with self._writing:
                if (left_s := self._left_s(node)) is not None and left_s <= 0:
                    # From now on, whatever becomes of the write.
                    self._durable_s = seconds = node.settings.election_timeout_s
                    await in_thread(self._store.set_promise, seconds)

    def _left_s(self, node: Node) -> float | None:
        """Seconds until no promise runs that is longer than those given now; None: they may be."""
        seconds = node.settings.election_timeout_s
        if seconds >= self._durable_s:
            return None
        return node.promised_until - self._now() - seconds
