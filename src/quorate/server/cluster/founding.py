"""Founding a cluster, at most one.

Every founding server must agree, and each agrees to one proposal only: the server with the lowest
ID among the expected ones asks all others for a promise, and only when all have given it tells
them to write the same entry 1 and the same cluster ID. Two proposals need a server in common as
soon as they overlap, and that server serves only one of them; a server that holds data, or has met
a cluster, promises nothing. (Differs from Nomad, where every server founds by itself from what it
happens to see; docs/divergence.md.)
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from quorate.autopilot.validity import objection_to
from quorate.errors import QuorateError
from quorate.raft.values.configuration import Configuration, ConfigurationError, Server, Suffrage
from quorate.server.cluster.identity import Identity
from quorate.server.rpc.calls import Callers

KEY_BYTES = 32
FOUNDERS_MAX = 1000


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster to found, and its founders.

    `keys` are the public keys that the servers have proven; one that proves nothing has none.
    """

    proposer: str
    cluster_id: str
    region: str
    servers: tuple[tuple[str, str], ...]  # (id, address), sorted by id
    keys: tuple[tuple[str, bytes], ...] = ()  # (id, key), sorted by id

    def configuration(self) -> Configuration:
        """Entry 1. Raises QuorateError if it can be none."""
        keys = dict(self.keys)
        configuration = Configuration(
            tuple(Server(i, a, Suffrage.VOTER, keys.get(i, b"")) for i, a in self.servers)
        )
        if len(self.servers) > FOUNDERS_MAX or any(len(k) != KEY_BYTES for k in keys.values()):
            raise QuorateError("a proposal with too many servers, or with keys that are none")
        for server_id, address in self.servers:
            if why := objection_to(server_id, server_id, address):
                raise QuorateError(f"an invalid proposal for founding: {why}")
        try:
            configuration.check()
        except ConfigurationError as error:
            raise QuorateError(f"an invalid proposal for founding: {error}") from None
        return configuration


class Promise(msgspec.Struct, frozen=True):
    """The answer to a proposal or to the order to carry it out: `why` is empty for yes."""

    why: str = ""


class Bootstrap:
    """Both sides of the founding, on a server that holds no data yet."""

    def __init__(
        self,
        *,
        me: Callable[[], Identity],
        found: Callable[[Proposal], Awaitable[None]],
        met: Callable[[], Sequence[Identity]],
        key_of: Callable[[Identity], bytes] = lambda _: b"",
    ) -> None:
        """`found` writes entry 1 and starts the replica; `met` are the servers that hold data.

        `key_of` gives the key that a server has proven, its own key for this one; it is empty for
        one that proves nothing, and raises QuorateError while it is not known.
        """
        self._key_of = key_of
        self._me = me
        self._found = found
        self._met = met
        self._promised: Proposal | None = None

    def promise(self, proposal: Proposal) -> Promise:
        """Would this server found that cluster?"""
        why = self._objection(proposal)
        if not why:
            self._promised = proposal
        return Promise(why)

    def _objection(self, proposal: Proposal) -> str:
        me, met, held = self._me(), self._met(), self._promised
        if me.initialised:
            return f"{me.node} belongs to cluster {me.cluster_id or '(unnamed)'} already"
        if met:
            return f"{me.node} has met {met[0].node}, which holds data of a cluster"
        if me.region != proposal.region:
            return f"{me.node} is of region {me.region!r}, not {proposal.region!r}"
        proposal.configuration()
        if (me.id, me.address) not in proposal.servers or not self._knows_key(proposal, me):
            return f"{me.node} ({me.id} at {me.address}) is not in the proposal with its key"
        if me.expect != len(proposal.servers):
            return f"{me.node} expects {me.expect} servers, not {len(proposal.servers)}"
        taken = held is not None and held.proposer != proposal.proposer
        return f"{me.node} has promised itself to {held.proposer}" if held and taken else ""

    def _knows_key(self, proposal: Proposal, me: Identity) -> bool:
        return dict(proposal.keys).get(me.id, b"") in {b"", self._key_of(me)}

    async def commit(self, proposal: Proposal) -> Promise:
        """Found it now, as promised."""
        if self._me().initialised or proposal != self._promised:
            return Promise(f"{self._me().node} has not promised this")
        await self._found(proposal)
        return Promise()

    async def lead(self, founders: list[Identity], callers: Callers) -> None:
        """Propose, collect every promise, carry out. Raises QuorateError naming who refused."""
        me = self._me()
        held = self._promised
        if held is not None and held.proposer != me.id:
            raise QuorateError(f"promised to {held.proposer}")
        servers = tuple(sorted((f.id, f.address) for f in founders))
        keys = tuple(sorted((f.id, key) for f in founders if (key := self._key_of(f))))
        proposal = held or Proposal(
            proposer=me.id,
            cluster_id=str(uuid.uuid4()),
            region=me.region,
            servers=servers,
            keys=keys,
        )
        if (proposal.servers, proposal.keys) != (servers, keys):
            proposal = msgspec.structs.replace(proposal, servers=servers, keys=keys)
        self._promised = proposal
        others = [f for f in founders if f.id != me.id]
        for other in others:
            answer = await callers.call(
                other.address, "bootstrap-promise", proposal, Promise, server_id=other.id
            )
            if answer.why:
                raise QuorateError(answer.why)
        for other in others:
            answer = await callers.call(
                other.address, "bootstrap-commit", proposal, Promise, server_id=other.id
            )
            if answer.why:
                raise QuorateError(answer.why)
        if not self._me().initialised:
            await self._found(proposal)
