"""Keeping the Raft configuration true to the pool: what a leader makes of what gossip says.

Who has left is let go; who lives and is no member, or has another address, is asked who it is and
taken in; who has failed stays until somebody removes it (nomad-rpc-port, 6; autopilot's removal of
dead servers is not done). What an operator has removed is not brought back by gossip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import msgspec

from quorate.errors import QuorateError
from quorate.raft.configuration import Configuration
from quorate.server.cluster.directory import ALIVE, LEFT, Directory, Known
from quorate.server.cluster.identity import Greeting, Identity
from quorate.server.cluster.membership import Membership
from quorate.server.cluster.no_leader import is_stranger
from quorate.server.rpc.calls import Callers
from quorate.state import servers
from quorate.state.store import StateStore

log = logging.getLogger("quorate.server")

_GREET_TIMEOUT_S = 1.0
_PAUSE_S = 5.0  # until one that could not be taken in is asked again


class Plan(msgspec.Struct, frozen=True):
    """What differs between pool and configuration."""

    let_go: tuple[str, ...] = ()  # IDs
    take_in: tuple[Identity, ...] = ()
    rename: tuple[Identity, ...] = ()  # members whose name or address is not on record
    strangers: tuple[Identity, ...] = ()  # of this region, but of another cluster


def plan(
    configuration: Configuration, pool: Iterable[Known], me: Identity, state: StateStore
) -> Plan:
    """Compare. Only servers of our own region count, and only what is certain."""
    let_go, take_in, rename, strangers = [], [], [], []
    for known in pool:
        other = known.identity
        if other.region != me.region:
            continue
        if is_stranger(me, other):
            strangers.append(other)
            continue
        member = configuration.get(other.id)
        record = servers.by_id(state, other.id)
        if known.status == LEFT and member is not None and other.id != me.id:
            let_go.append(other.id)
        elif known.status == ALIVE and member is not None and member.address == other.address:
            on_record = (record.name, record.address) if record is not None else None
            removing = record is not None and record.removed
            if on_record != (other.node, other.address) and not removing:
                rename.append(other)
        elif known.status == ALIVE and not servers.removed_at(state, other.id):
            take_in.append(other)
    return Plan(tuple(let_go), tuple(take_in), tuple(rename), tuple(strangers))


class Reconciler:
    """Carries plans out; what cannot be done now is planned again."""

    def __init__(
        self,
        *,
        directory: Directory,
        membership: Membership,
        callers: Callers,
        state: StateStore,
    ) -> None:
        self._directory = directory
        self._membership = membership
        self._callers = callers
        self._state = state
        self._said: dict[str, str] = {}
        self._asked: dict[str, tuple[str, float]] = {}  # by ID: at which address in vain, and when

    async def run(self, configuration: Configuration) -> None:
        """One round, on the leader."""
        me = self._directory.me
        found = plan(configuration, self._directory.all(), me, self._state)
        for stranger in found.strangers:
            self._say(
                stranger.id,
                f"{stranger.node} is in this pool but belongs to another cluster, "
                f"{stranger.cluster_id}, not {me.cluster_id}: neither takes the other's servers in",
            )
        for server_id in found.let_go:
            why = await self._membership.let_go(server_id)
            self._say(server_id, f"{server_id} has left but stays in the configuration: {why}", why)
        for other in found.take_in:
            if self._asked_lately(other):
                continue
            why = await self._take_in(other)
            if why:
                self._asked[other.id] = (other.address, self._now())
            self._say(other.id, f"{other.node} at {other.address} is not taken in: {why}", why)
        for other in found.rename:
            await self._membership.record(other)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _asked_lately(self, other: Identity) -> bool:
        address, asked_at = self._asked.get(other.id, ("", 0.0))
        return address == other.address and self._now() - asked_at < _PAUSE_S

    async def _take_in(self, other: Identity) -> str:
        me = self._directory.me
        if other.id == me.id:
            return (await self._membership.take_in(me)).why
        try:
            greeting = Greeting(me=me)
            answer = await self._callers.call(
                other.address, "greet", greeting, Greeting, _GREET_TIMEOUT_S
            )
        except QuorateError as error:
            return error.text
        if answer.me.id != other.id:
            return f"another server ({answer.me.id}) answers there"
        return (await self._membership.take_in(answer.me)).why

    def _say(self, server_id: str, text: str, why: str = "x") -> None:
        if not why:
            self._said.pop(server_id, None)
        elif self._said.get(server_id) != text:
            self._said[server_id] = text
            log.warning("%s", text)
