"""A server that nobody recovers, of a cluster that begins with nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from quorate.recovery.plan import Plan
from quorate.shapes.operator import LiveRecovery


class NothingToBegin:
    """A cluster that begins with nothing."""

    problem = ""

    async def run(self) -> None:
        """Settled."""


class FakeRecovery:
    """A server that nobody recovers."""

    def standing(self) -> LiveRecovery:
        return LiveRecovery(epoch="0")

    async def prepare(
        self, plan: Plan, lost: Sequence[str], *, timeout_s: float, may_lose: bool
    ) -> LiveRecovery:
        del lost, timeout_s, may_lose
        await asyncio.sleep(0)
        return LiveRecovery(plan=plan.digest, prepared=True)

    async def commit(self) -> LiveRecovery:
        await asyncio.sleep(0)
        return self.standing()

    async def abort(self, *, force: bool) -> LiveRecovery:
        del force
        return await self.commit()
