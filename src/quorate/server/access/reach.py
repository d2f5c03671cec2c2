"""How far the other servers have come with an entry of the log, as the leader asks them.

A server that has not applied the deletion of a token still answers by it what it answers by itself.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Server as Member
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.rpc.calls import Callers

APPLIED_CALL: Final = "applied"

PATIENCE_S: Final = 0.5
"""For the others: a few heartbeats, by which they hear that the entry is committed."""

_LOOK_AGAIN_S: Final = 0.02


class AppliedRequest(msgspec.Struct, frozen=True):
    """The argument of the call: there is nothing to say."""


class AppliedAnswer(msgspec.Struct, frozen=True):
    """The index of the log up to which the server has applied it."""

    index: int


class Reach:
    """See the module."""

    def __init__(self, replica: Replica[object], directory: Directory, callers: Callers) -> None:
        self._replica = replica
        self._directory = directory
        self._callers = callers

    async def behind(self, index: int) -> tuple[str, ...]:
        """The names of live members that have not applied that entry of the log soon."""
        until = asyncio.get_running_loop().time() + PATIENCE_S
        members = self._replica.node.configuration.servers
        found = await asyncio.gather(*(self._lags(each, index, until) for each in members))
        return tuple(self._name(each) for each, lags in zip(members, found, strict=True) if lags)

    async def _lags(self, member: Member, index: int, until: float) -> bool:
        if member.id == self._replica.server_id:
            return False
        loop = asyncio.get_running_loop()
        while True:
            if not self._is_live(member):
                return False
            if await self._applied(member, until) >= index:
                return False
            if loop.time() + _LOOK_AGAIN_S >= until:
                return True
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _applied(self, member: Member, until: float) -> int:
        timeout_s = max(until - asyncio.get_running_loop().time(), _LOOK_AGAIN_S)
        try:
            answer = await self._callers.call(
                *(member.address, APPLIED_CALL, AppliedRequest(), AppliedAnswer, timeout_s),
                server_id=member.id,
            )
        except QuorateError:
            return 0
        return answer.index

    def _is_live(self, member: Member) -> bool:
        """Whether it has answered this leader of late."""
        node = self._replica.node
        peer = None if node.leader is None else node.leader.peers.get(member.id)
        since = self._replica.now() - 2 * node.settings.election_timeout_s
        return peer is not None and peer.contact_at > since

    def _name(self, member: Member) -> str:
        known = self._directory.by_id(member.id)
        return member.address if known is None else known.identity.node
