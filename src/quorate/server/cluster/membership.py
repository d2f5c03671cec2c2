"""Who belongs to the cluster: taking in, removing, leaving, coming back. What a leader does of it.

Invariant: no removal that would leave fewer live voters than a majority is begun, unless forced.
A server that an operator has removed is marked so in the replicated state before it is removed,
and is not taken in again until it asks to rejoin; a server that has left may simply come back.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.autopilot.rounds import NOT_LEADING, Look, departing, joining
from quorate.errors import ChangeRefused, NotLeader, PeerNotFound
from quorate.raft.configuration import Change, ChangeKind
from quorate.raft.configuration import Server as Peer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.leader.facts import claim_of
from quorate.server.leader.guard import check_quorum_without
from quorate.server.leader.hands import Hands
from quorate.server.views.records import Transfer
from quorate.state import servers
from quorate.state.commands import encode
from quorate.state.servers import RecordRemoval, RecordServer
from quorate.state.store import StateStore
from quorate.state.table import Command

log = logging.getLogger("quorate.server")


class Membership:
    """See the module."""

    def __init__(
        self,
        *,
        replica: Replica,
        state: StateStore,
        directory: Directory,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        hands: Hands,
        look: Look,
    ) -> None:
        self._replica = replica
        self._state = state
        self._directory = directory
        self._apply = apply
        self._hands = hands
        self._look = look

    # -- taking in -------------------------------------------------------------------------------

    async def take_in(self, joiner: Identity, *, forgive: bool = False) -> JoinAnswer:
        """Make `joiner` a member, or say why not; `forgive` also one that was removed."""
        claim = claim_of(joiner)
        verdict = await self._hands.run(joining(self._look, claim, forgive=forgive))
        if verdict.why == NOT_LEADING:
            return JoinAnswer(leader=self._replica.node.leader_address, why=verdict.why)
        return JoinAnswer(why=verdict.why, member=not verdict.why, removed_at=verdict.removed_at)

    async def _write(self, command: Command) -> int:
        index, _ = await self._apply(encode(command))
        return index

    # -- removing --------------------------------------------------------------------------------

    def find(self, server_id: str | None, address: str | None) -> Peer:
        """The member with this ID, or else at this address. Raises PeerNotFound."""
        configuration = self._replica.node.configuration
        if server_id is not None:
            found, by, value = configuration.get(server_id), "id", server_id
        else:
            value = address or ""
            found, by = configuration.by_address(value), "address"
        if found is None:
            raise PeerNotFound(by, value)
        return found

    async def remove(self, *, server_id: str | None, address: str | None, force: bool) -> None:
        """Remove a server for good, on behalf of an operator.

        Refused when fewer live voters than a majority would remain, unless forced.
        """
        peer = self.find(server_id, address)
        if not self._replica.is_leader:
            raise NotLeader(self._replica.node.leader_id, self._replica.node.leader_address)
        if not force:
            await check_quorum_without(self._replica, peer)
        name = self._name_of(peer)
        await self._write(RecordRemoval(server_id=peer.id, name=name, address=peer.address))
        try:
            await self._hands.change(Change(ChangeKind.REMOVE_SERVER, peer.id))
        except ChangeRefused:
            await self._write(RecordServer(server_id=peer.id, name=name, address=peer.address))
            raise
        log.warning("removed server %s (%s) at %s by an operator", name, peer.id, peer.address)

    async def let_go(self, server_id: str) -> str:
        """Remove a server that asks to leave; why not, or empty."""
        verdict = await self._hands.run(departing(self._look, server_id))
        return verdict.why

    def _name_of(self, peer: Peer) -> str:
        known = self._directory.by_id(peer.id)
        if known is not None:
            return known.identity.node
        record = servers.by_id(self._state, peer.id)
        return record.name if record is not None else "(unknown)"

    # -- handing over ----------------------------------------------------------------------------

    async def transfer(self, *, server_id: str | None, address: str | None) -> Transfer:
        """Hand leadership over to a member. Raises PeerNotFound, ChangeRefused, NotLeader."""
        target = self.find(server_id, address)
        me = self._replica
        noop = target.id == me.server_id
        if noop and not me.is_leader:
            raise NotLeader(me.node.leader_id, me.node.leader_address)
        if not noop:
            await me.transfer(target.id)
        return Transfer(
            from_id=me.server_id,
            from_address=me.address,
            to_id=target.id,
            to_address=target.address,
            noop=noop,
        )
