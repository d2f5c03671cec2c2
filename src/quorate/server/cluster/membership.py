"""The leader's part in membership: taking in, removing, leaving, coming back.

Invariant: no removal that would leave fewer live voters than a majority is made, unless forced:
the Raft core weighs each change by the configuration that it was decided by. A server that an
operator has removed is marked so in the replicated state before it is removed, and is not taken in
again until it asks to rejoin; a server that has left may simply come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from quorate.autopilot.rounds import NOT_LEADING, Look, departing, joining
from quorate.errors import ChangeOvertaken, ChangeRefused, NotLeader, PeerNotFound
from quorate.net.peer import Peer
from quorate.raft.values.configuration import Change, ChangeKind
from quorate.raft.values.configuration import Server as RaftServer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.leader.facts import claim_of
from quorate.server.leader.hands import CHANGE_TIMEOUT_S, Hands
from quorate.server.views.records import Transfer
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables import servers
from quorate.state.tables.servers import RecordRemoval, RecordServer

log = logging.getLogger("quorate.server")

DECIDE_AGAIN_S = 0.05
TELL_TIMEOUT_S = 1.0


class Membership:
    """See the module."""

    def __init__(
        self,
        *,
        replica: Replica[object],
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

    async def take_in(
        self, joiner: Identity, peer: Peer | None, *, forgive: bool = False
    ) -> JoinAnswer:
        """Make `joiner` a member, or say why not; `forgive` also one that was removed.

        `peer` is the proven server that asks for itself: its key goes on record.
        """
        claim = claim_of(joiner, peer=peer)
        verdict = await self._hands.run(joining(self._look, claim, forgive=forgive))
        if verdict.why == NOT_LEADING:
            return JoinAnswer(leader=self._replica.node.leader_address, why=verdict.why)
        if forgive and not verdict.why:
            await self._tell("rejoin", joiner.id)
        return JoinAnswer(why=verdict.why, member=not verdict.why, removed_at=verdict.removed_at)

    async def _write(self, command: Command) -> int:
        index, _ = await self._apply(encode(command))
        return index

    async def _tell(self, what: str, server_id: str) -> None:
        """Tell the journal of an act that has no command; the act is not held up for long."""
        command = self._hands.acts.alone(what, server_id)
        if command is not None:
            await asyncio.wait((self._apply_task(command),), timeout=TELL_TIMEOUT_S)

    def _apply_task(self, command: Command) -> asyncio.Future[tuple[int, Any]]:
        told = asyncio.ensure_future(self._apply(encode(command)))
        told.add_done_callback(lambda done: done.cancelled() or done.exception())
        return told

    # -- removing --------------------------------------------------------------------------------

    def find(self, server_id: str | None, address: str | None) -> RaftServer:
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

        Refused when fewer live voters than a majority would remain, unless forced. The mark and
        the removal are one decision: when the removal is refused the mark is taken back, and when
        another change came between them the removal is decided again. When it is not known whether
        the removal comes, as after a change of leaders, the next leader's round takes the mark of
        a member back (`quorate.autopilot.marks`).
        """
        peer = self.find(server_id, address)
        with self._hands.removal_of(peer.id):
            await self._remove(peer, force=force)

    async def _remove(self, peer: RaftServer, *, force: bool) -> None:
        name = self._name_of(peer)
        forced = " by force" if force else ""
        told = self._hands.acts.told
        marked = False
        try:
            async for decided_by in self._decisions():
                if not marked:
                    mark = RecordRemoval(server_id=peer.id, name=name, address=peer.address)
                    await self._write(told(mark, "remove", force=force))
                    marked = True
                change = Change(ChangeKind.REMOVE_SERVER, peer.id, prev_index=decided_by)
                with contextlib.suppress(ChangeOvertaken):
                    cause = f"removed by an operator{forced}"
                    await self._hands.change(change, force=force, cause=cause)
                    break
        except ChangeRefused as error:
            if marked and self._replica.node.configuration.get(peer.id) is not None:
                back = RecordServer(server_id=peer.id, name=name, address=peer.address)
                await self._write(told(back, "removal refused", cause=error.text))
            raise
        log.warning(
            "removed server %s (%s) at %s by an operator%s", name, peer.id, peer.address, forced
        )

    async def _decisions(self) -> AsyncIterator[int]:
        """The index of the configuration to decide by, again and again until the time is over.

        Raises NotLeader.
        """
        loop, replica = asyncio.get_running_loop(), self._replica
        deadline = loop.time() + CHANGE_TIMEOUT_S
        while True:
            if not replica.is_leader:
                raise NotLeader(replica.node.leader_id, replica.node.leader_address)
            yield replica.node.configuration_index
            if loop.time() >= deadline:
                raise ChangeRefused("other changes of the membership came first", "try again")
            await asyncio.sleep(DECIDE_AGAIN_S)

    async def let_go(self, server_id: str) -> str:
        """Remove a server that asks to leave; why not, or empty."""
        verdict = await self._hands.run(departing(self._look, server_id))
        return verdict.why

    def _name_of(self, peer: RaftServer) -> str:
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
            await self._tell("transfer leadership", target.id)  # now: afterwards another leads
            await me.transfer(target.id)
        return Transfer(
            from_id=me.server_id,
            from_address=me.address,
            to_id=target.id,
            to_address=target.address,
            noop=noop,
        )
