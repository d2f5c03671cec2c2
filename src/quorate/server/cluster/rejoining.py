"""A removed server comes back: it finds the leader, and asks to be taken in again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quorate.errors import ChangeRefused, NoLeader
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.writes import APPLY_TIMEOUT_S
from quorate.shapes.agent import Rejoined

LEADER_PATIENCE_S: Final = 5.0  # as long as the API holds a request while nobody leads


class Rejoining:
    """See the module. `server_id` is this server's own; `leads` gives its name while it leads."""

    def __init__(self, server_id: str, leads: Callable[[], str], watch: PoolWatch) -> None:
        self._server_id = server_id
        self._leads = leads
        self._watch = watch

    async def rejoin(self) -> Rejoined:
        """Ask the leader to take this server in again, although it was removed.

        Raises NoLeader, and ChangeRefused if it is a member or is not taken in.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEADER_PATIENCE_S
        # The removed server hears from no leader: the others are asked for the one they follow.
        while not (node := self._leads()):
            leader = await self._watch.leader()
            if leader is not None:
                node = leader.me.node if leader.member else ""
                break
            if loop.time() >= deadline:
                raise NoLeader
            await asyncio.sleep(0.25)
        if node:
            raise ChangeRefused(
                f"this server is in the Raft configuration of the leader, {node}",
                "there is nothing to rejoin",
            )
        why = await self._watch.rejoin(APPLY_TIMEOUT_S)
        if why:
            raise ChangeRefused(f"this server was not taken in: {why}", "see the leader's log")
        return Rejoined(id=self._server_id)
