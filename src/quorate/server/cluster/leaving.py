"""A server that stops for good: leadership handed over, its name out of the configuration.

The leader takes out a server that leaves, and refuses where that would end the quorum. A leader
that has just been elected, or has a change under way, is asked again, so that servers can leave one
after another, each as soon as the one before is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from quorate.autopilot.deciders.departing import LAST_VOTER
from quorate.errors import QuorateError
from quorate.replica.replica import Replica
from quorate.server.cluster.founding import Promise
from quorate.server.cluster.membership import Membership
from quorate.server.rpc.calls import Callers

log = logging.getLogger("quorate.server")

_PATIENCE_S = 2.0  # an agent that stops waits for five seconds altogether
_ASK_AGAIN_S = 0.1


class Departure(msgspec.Struct, frozen=True):
    """The argument of the call `leave`: the server that leaves."""

    id: str


class Leaving:
    """See the module. `wait_for_leader` takes seconds, and is True if one is known."""

    def __init__(
        self,
        replica: Replica[object],
        membership: Membership,
        callers: Callers,
        wait_for_leader: Callable[[float], Awaitable[bool]],
    ) -> None:
        self._replica = replica
        self._membership = membership
        self._callers = callers
        self._wait_for_leader = wait_for_leader

    async def hand_over(self) -> None:
        """Let another voter lead, if there is one that can."""
        if self._replica.is_leader and len(self._replica.node.configuration.voters()) > 1:
            try:
                await self._replica.transfer()
            except QuorateError as error:
                log.warning("leadership could not be handed over: %s", error)

    async def leave_configuration(self) -> None:
        """Be taken out by the leader.

        Raises QuorateError if it refuses: then this server stops without leaving, and is missed.
        """
        me = self._replica.server_id
        if self._replica.node.configuration.get(me) is None:
            return
        why = await self._ask(me)
        if why:
            raise QuorateError(
                f"this server does not leave: {why}",
                "it stops all the same, and is expected back; to take it out for good: quorate "
                f"operator raft remove-peer -peer-id={me}",
            )

    async def _ask(self, me: str) -> str:
        """Why the leader does not take this server out, or empty."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while not self._is_last_voter():
            why = await self._ask_once(me, deadline - loop.time())
            if not why or loop.time() >= deadline:
                return why
            await asyncio.sleep(_ASK_AGAIN_S)
        return LAST_VOTER  # though nobody leads yet: the leader may have left a moment ago

    async def _ask_once(self, me: str, timeout_s: float) -> str:
        if not await self._wait_for_leader(max(timeout_s, 0.0)):
            return "there is no leader, and only a leader with a majority can remove a server"
        if self._replica.is_leader:
            return await self._membership.let_go(me)
        leader = self._replica.node.leader_address
        try:
            answer = await self._callers.call(
                *(leader, "leave", Departure(me), Promise), server_id=self._replica.node.leader_id
            )
        except QuorateError as error:
            return error.text
        return answer.why

    def _is_last_voter(self) -> bool:
        voters = self._replica.node.configuration.voters()
        return [voter.id for voter in voters] == [self._replica.server_id]
