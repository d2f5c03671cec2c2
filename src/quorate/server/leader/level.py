"""Raising the cluster's feature level, and telling what holds it back (`quorate.autopilot.level`).

While the level is below what this leader knows, it asks every member over the RPC port which level
it knows; versions of level 0 say none. At the highest level nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

import msgspec

from quorate.autopilot.level import LevelPlan, MemberLevel, plan_level
from quorate.errors import LevelTooLow, QuorateError
from quorate.levels import describe
from quorate.raft.configuration import Configuration
from quorate.replica.replica import Replica
from quorate.server.views.records import ServerView
from quorate.state.commands import encode, needed_level
from quorate.state.level import RaiseLevel
from quorate.state.store import StateStore

log = logging.getLogger("quorate.server")

Views: TypeAlias = Callable[[], Awaitable[list[ServerView]]]
Apply: TypeAlias = Callable[[bytes], asyncio.Future[tuple[int, Any]]]

_LOOK_S: Final = 0.25
_WAIT_S: Final = 2.0  # something holds the level back: an upgrade takes longer than this


class LevelKeeper:
    """Does nothing while another server leads."""

    def __init__(self, replica: Replica, state: StateStore) -> None:
        self._replica = replica
        self._state = state
        self._said: tuple[object, ...] = ()
        self.plan = LevelPlan(goal=0)

    async def run(self, views: Views, apply: Apply) -> None:
        """For ever. `views` asks all servers of the region, `apply` replicates a command."""
        while True:
            await asyncio.sleep(_WAIT_S if self.plan.waiting else _LOOK_S)
            replica, known = self._replica, self._state.registry.level
            unable = not replica.is_leader or replica.damage or replica.held
            if unable or self._state.level >= known:
                self.plan = LevelPlan(goal=known)
                continue
            try:
                await self._raise(views, apply)
            except QuorateError as error:
                log.info("the feature level is not raised yet: %s", error)

    async def _raise(self, views: Views, apply: Apply) -> None:
        # Only after a barrier is it sure that no earlier leader has raised it.
        await self._replica.read_barrier()
        registry, configuration = self._state.registry, self._replica.node.configuration
        members = members_among(await views(), configuration)
        self.plan = plan = plan_level(self._state.level, registry.level, members)
        # Another server may have been taken in while these were asked.
        if plan.raise_to and configuration is self._replica.node.configuration:
            version = registry.versions.get(plan.raise_to, "")
            command = RaiseLevel(level=plan.raise_to, version=version)
            _, level = await apply(encode(command))
            log.info("the cluster is of feature %s now", describe(level, version))
        if plan.waiting and plan.waiting != self._said:
            log.info("feature level %d waits: %s", plan.goal, _reasons(plan))
        self._said = plan.waiting

    def refusal(self, command: bytes) -> LevelTooLow | None:
        """Why a leader must not write this command yet."""
        needed, level = needed_level(command, self._state.registry), self._state.level
        if needed <= level:
            return None
        waits = _reasons(self.plan) or "it rises once every server is known to have it"
        return LevelTooLow(
            f"this needs {describe(needed)}, and the cluster is of level {level}: {waits}",
            "see what holds it back: quorate operator upgrade check",
        )


def members_among(views: Iterable[ServerView], configuration: Configuration) -> list[MemberLevel]:
    """What each member of the configuration says of its level."""
    known = {view.id: view for view in views}
    absent = ServerView(id="", node="(unknown)", address="", error="it was not asked")
    return [
        member_level(known.get(server.id) or msgspec.structs.replace(absent, id=server.id))
        for server in configuration.servers
    ]


def member_level(view: ServerView) -> MemberLevel:
    """What a server that was asked knows; nothing if it did not answer."""
    level = None if view.error else view.level
    return MemberLevel(server_id=view.id, name=view.node, level=level)


def _reasons(plan: LevelPlan) -> str:
    return "; ".join(f"{one.name} ({one.server_id}): {one.why}" for one in plan.waiting[:5])
