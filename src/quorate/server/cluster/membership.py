"""Who belongs to the cluster: taking in, removing, leaving, coming back. What a leader does of it.

Invariant: no removal that would leave fewer live voters than a majority is begun, unless forced.
A server that an operator has removed is marked so in the replicated state before it is removed,
and is not taken in again until it asks to rejoin; a server that has left may simply come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.errors import (
    ApplyTimeout,
    ChangeRefused,
    NotLeader,
    PeerNotFound,
    QuorateError,
)
from quorate.raft.configuration import Change, ChangeKind
from quorate.raft.configuration import Server as Peer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import JoinAnswer, admit
from quorate.server.cluster.no_leader import is_stranger
from quorate.server.views.records import Transfer
from quorate.state import servers
from quorate.state.commands import encode
from quorate.state.servers import RecordRemoval, RecordServer
from quorate.state.store import StateStore
from quorate.state.table import Command

log = logging.getLogger("quorate.server")

CHANGE_TIMEOUT_S = 10.0
_LOOK_AGAIN_S = 0.02


class Membership:
    """See the module."""

    def __init__(
        self,
        *,
        replica: Replica,
        state: StateStore,
        directory: Directory,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    ) -> None:
        self._replica = replica
        self._state = state
        self._directory = directory
        self._apply = apply

    # -- taking in -------------------------------------------------------------------------------

    async def take_in(self, joiner: Identity, *, forgive: bool = False) -> JoinAnswer:
        """Make `joiner` a member, or say why not; `forgive` also one that was removed."""
        replica = self._replica
        if not replica.is_leader:
            leader = replica.node.leader_address
            return JoinAnswer(leader=leader, why="this server does not lead")
        ours = self._directory.me.region
        if joiner.region != ours:
            return JoinAnswer(why=f"{joiner.node} is of region {joiner.region!r}, this is {ours!r}")
        if joiner.leaving:
            return JoinAnswer(why="it is leaving")
        removed_at = servers.removed_at(self._state, joiner.id)
        member = replica.node.configuration.get(joiner.id) is not None
        if removed_at and not member and not forgive:
            why = (
                f"it was removed from the cluster at index {removed_at}; `quorate server rejoin` "
                "on that server brings it back"
            )
            return JoinAnswer(why=why, removed_at=removed_at)
        if not member and not joiner.cluster_id and (others := self._strangers()):
            why = (
                f"there are servers of another cluster in this pool ({others}), and it does not "
                "say to which it belongs; let them leave the pool first"
            )
            return JoinAnswer(why=why)
        whereabouts = {one.id: one.address for one in self._directory.alive(ours)}
        answer = await admit(replica, joiner, replica.node.cluster_id, whereabouts)
        if answer.member:
            await self.record(joiner)
        return answer

    def _strangers(self) -> str:
        me = self._directory.me
        live = self._directory.alive(me.region)
        return ", ".join(other.node for other in live if is_stranger(me, other))

    async def record(self, server: Identity) -> None:
        """Keep the name and address of a member in the replicated state."""
        known = servers.by_id(self._state, server.id)
        now = (server.node, server.address, False)
        if known is None or (known.name, known.address, known.removed) != now:
            await self._write(
                RecordServer(server_id=server.id, name=server.node, address=server.address)
            )

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
            await self._check_quorum_without(peer)
        name = self._name_of(peer)
        await self._write(RecordRemoval(server_id=peer.id, name=name, address=peer.address))
        try:
            await self._change(Change(ChangeKind.REMOVE_SERVER, peer.id))
        except ChangeRefused:
            await self._write(RecordServer(server_id=peer.id, name=name, address=peer.address))
            raise
        log.warning("removed server %s (%s) at %s by an operator", name, peer.id, peer.address)

    async def let_go(self, server_id: str) -> str:
        """Remove a server that wants to leave, or has left; why not, or empty."""
        configuration = self._replica.node.configuration
        if not self._replica.is_leader:
            return "the server asked does not lead any more"
        peer = configuration.get(server_id)
        if peer is None:
            return ""
        if len(configuration.voters()) == 1 and peer.is_voter:
            return "it is the last voter: the cluster would have no configuration any more"
        try:
            await self._check_quorum_without(peer)
            await self._change(Change(ChangeKind.REMOVE_SERVER, peer.id))
        except QuorateError as error:
            return error.text
        log.info("server %s (%s) at %s has left", self._name_of(peer), peer.id, peer.address)
        return ""

    def _name_of(self, peer: Peer) -> str:
        known = self._directory.by_id(peer.id)
        if known is not None:
            return known.identity.node
        record = servers.by_id(self._state, peer.id)
        return record.name if record is not None else "(unknown)"

    async def _change(self, change: Change) -> None:
        future = asyncio.ensure_future(self._replica.change(change))
        done, _ = await asyncio.wait((future,), timeout=CHANGE_TIMEOUT_S)
        if not done:
            raise ApplyTimeout
        future.result()

    async def _check_quorum_without(self, peer: Peer) -> None:
        """Only who answers from now on counts: whoever died a moment ago looks alive as yet."""
        loop, replica = asyncio.get_running_loop(), self._replica
        rest = [s for s in replica.node.configuration.voters() if s.id != peer.id]
        quorum = len(rest) // 2 + 1
        since = loop.time()
        deadline = since + 2 * replica.options.settings.election_timeout_s
        while (leader := replica.node.leader) is not None and rest and peer.is_voter:
            peers = leader.peers
            live = sum(
                s.id == replica.server_id or (s.id in peers and peers[s.id].contact_at > since)
                for s in rest
            )
            if live >= quorum:
                return
            if loop.time() >= deadline:
                raise ChangeRefused(
                    f"removing {peer.address} would leave {live} live of {len(rest)} voters, and "
                    f"{quorum} are needed for a quorum; force=true removes it all the same",
                    "bring a voter back, or remove a dead one first",
                )
            await asyncio.sleep(_LOOK_AGAIN_S)

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
