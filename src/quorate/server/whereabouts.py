"""The places of the members: where they are on record, where they are now, and their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from quorate.net.dial import greet
from quorate.net.trust import Trust
from quorate.raft.values.configuration import Server as Member
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Greeting

_LOOK_FOR_KEYS_S: Final = 0.5
_LOOK_AGAIN_S: Final = 1.0
_LOOKED_AT_MAX: Final = 1000


class Whereabouts:
    """See the module. `ask` greets the server at an address; `lenient`: no server proves itself.

    `spawn` runs a coroutine.
    """

    def __init__(
        self,
        replica: Replica[object],
        trust: Trust,
        directory: Directory,
        *,
        ask: Callable[[str], Awaitable[Greeting | None]],
        lenient: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._replica = replica
        self._trust = trust
        self._directory = directory
        self._ask = ask
        self._lenient = lenient
        self._spawn = spawn
        self._looked_at: dict[str, float] = {}  # by address: when it was asked who is there

    def locate(self, member: Member) -> str:
        """Where a member is now: it may have moved since it was written into the configuration.

        Where its key has answered, or else where it is on record. Of a member without a key, as in
        clusters of level 0, the pool is believed.
        """
        if member.key:
            place = self._trust.place_of(member)
            elsewhere = self._directory.whereabouts(member.id, place)
            if elsewhere != place:
                self._look_at(elsewhere)
            return place
        return self._directory.whereabouts(member.id, member.address)

    def _look_at(self, address: str) -> None:
        """The pool says that a member is there: ask, so that the address counts if it is."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at.get(address, -_LOOK_AGAIN_S) < _LOOK_AGAIN_S:
            return
        if len(self._looked_at) >= _LOOKED_AT_MAX:
            self._looked_at.clear()
        self._looked_at[address] = now
        self._spawn(self._asked(address))

    async def _asked(self, address: str) -> None:
        await self._ask(address)

    async def learn_keys(self) -> None:
        """Of members that were upgraded, while the cluster is of level 0: to put them on record."""
        while self._lenient():
            await asyncio.sleep(_LOOK_FOR_KEYS_S)
            replica = self._replica
            for member in replica.node.configuration.servers if replica.is_leader else ():
                if member.key or self._trust.key_of(member.id):
                    continue
                address = self.locate(member)
                peer = await greet(address, self._trust)
                if peer is not None and peer.server_id == member.id:
                    self._trust.note_place(peer, address)

    async def greet_member(self, member: Member) -> bool:
        """Hear from a member, before this server may vote, whether its data is an old copy.

        False if it does not answer.
        """
        answer = await self._ask(self.locate(member))
        return answer is not None and answer.me.id == member.id and not answer.rolled_back
