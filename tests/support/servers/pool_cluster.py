"""Members of a pool on loopback, and waiting for what they come to believe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from patience import PATIENCE_S

from quorate.gossip.effects import Change
from quorate.gossip.messages import SerfStatus
from quorate.gossip.settings import LAN
from quorate.pool.addresses import join_text
from quorate.pool.options import PoolOptions
from quorate.pool.pool import Pool
from quorate.pool.refusals import PREFIX

KEY = b"0123456789abcdef0123456789abcdef"
OTHER_KEY = b"fedcba9876543210fedcba9876543210"
# As LAN, but what nobody waits for in a test is short.
QUICK = msgspec.structs.replace(LAN, leave_propagate_delay_s=0.2)


class Pools:
    """Starts pools and stops them all. `seen` holds every change, by the name that saw it."""

    def __init__(self, **options: Any) -> None:
        self.options: dict[str, Any] = {"bind_host": "127.0.0.1", "settings": QUICK, **options}
        self.running: dict[str, Pool] = {}
        self.seen: dict[str, list[tuple[Change, str]]] = {}

    async def start(self, name: str, **options: Any) -> Pool:
        """One more, by itself."""
        pool = Pool(PoolOptions(name=name, **{"bind_port": 0, **self.options, **options}))
        seen = self.seen[name] = []
        pool.on_member.append(lambda c: seen.append((c.change, c.member.name)))
        await pool.start()
        self.running[name] = pool
        return pool

    async def stop(self, *names: str) -> None:
        """Stop these without leaving, or all."""
        for name in names or list(self.running):
            await self.running.pop(name).stop()

    async def together(self, *names: str, **options: Any) -> list[Pool]:
        """Start these, and wait until all see all."""
        pools = [await self.start(name, **options) for name in names]
        for pool in pools[1:]:
            assert (await pool.join([where(pools[0])])).count == 1
        await until(lambda: all(len(living(pool)) == len(names) for pool in pools))
        return pools


def where(pool: Pool) -> str:
    """The address to join at."""
    return join_text(pool.address)


def living(pool: Pool) -> set[str]:
    """The names that a pool believes alive."""
    return {m.name for m in pool.members() if m.status is SerfStatus.ALIVE}


def status(pool: Pool, name: str) -> str:
    """What a pool believes of a name."""
    return next((m.status.name.lower() for m in pool.members() if m.name == name), "unknown")


def tag(pool: Pool, name: str, key: str) -> str:
    """A tag of a member as a pool knows it; empty if it is not there."""
    return next((m.tags.get(key, "") for m in pool.members() if m.name == name), "")


def refused(pool: Pool, reason: str) -> int:
    """How often a pool has refused something for this reason."""
    return pool.metrics.totals().counters.get(PREFIX + reason, (0, 0.0))[0]


async def until(true: Callable[[], bool], seconds: float = PATIENCE_S) -> float:
    """Wait for it; how long it took. Fails after so many seconds."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, "it did not come true"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


def scenario(
    work: Callable[[Pools], Awaitable[None]],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **options: Any,
) -> None:
    """Run a story with pools, and stop those that are left."""

    async def run() -> None:
        pools = Pools(**options)
        try:
            await work(pools)
        finally:
            await pools.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())
