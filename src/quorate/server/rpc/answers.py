"""Calls that other servers may make to this one, over the RPC port (`quorate.server.rpc.calls`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from quorate.errors import QuorateError
from quorate.net.peer import Peer
from quorate.server.access.reach import APPLIED_CALL, AppliedAnswer, AppliedRequest
from quorate.server.audit.recorder import RECORDS_CALL, Recorder, SentRecords, TakenRecords
from quorate.server.bounds.memory import (
    MEMORY_CALL,
    MemoryAnswer,
    MemoryKeeper,
    MemoryRequest,
)
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.founding import Bootstrap, Promise, Proposal
from quorate.server.cluster.identity import GREETED_MAX, Greeting, Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.cluster.leaving import Departure
from quorate.server.cluster.membership import Membership
from quorate.server.integrity.checks import DigestAnswer, DigestRequest, Heard, StateChecks
from quorate.server.integrity.judge import StateJudge
from quorate.server.integrity.verdict import Verdict
from quorate.server.room.compacting import COMPACT_CALL, Compacting, CompactRequest
from quorate.server.rpc.calls import (
    CALL_BYTES_MAX,
    STRANGERS_CALL_BYTES_MAX,
    UNDECODABLE,
)
from quorate.server.rpc.gate import Door, Gate
from quorate.server.secrets.disks import OLDEST_CALL, Disks, Oldest, OldestRequest
from quorate.server.secrets.wrapping_members import (
    WRAPPING_CALL,
    WrappingAnswer,
    WrappingMembers,
    WrappingRequest,
)
from quorate.server.views.raft import ViewRequest
from quorate.server.views.records import ServerView
from quorate.shapes.compaction import Compacted


class Answers:
    """One method for each verb. None waits for an operator or a timer, one for the disk."""

    def __init__(
        self,
        *,
        directory: Directory,
        watch: PoolWatch,
        membership: Membership,
        bootstrap: Bootstrap,
        me: Callable[[], Identity],
        view: Callable[[], ServerView],
        checks: StateChecks,
        judge: StateJudge,
        applied_index: Callable[[], int],
        gate: Gate,
        disks: Disks,
        memory: MemoryKeeper,
        wrapping: WrappingMembers,
        compacting: Compacting,
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._compacting = compacting
        self._wrapping = wrapping
        self._disks = disks
        self._memory = memory
        self._gate = gate
        self._directory = directory
        self._watch = watch
        self._membership = membership
        self._bootstrap = bootstrap
        self._me = me
        self._view = view
        self._checks = checks
        self._judge = judge
        self._applied_index = applied_index

    @classmethod
    def verbs(cls) -> frozenset[str]:
        """All calls that there are."""
        return frozenset(cls._verbs)

    async def answer(self, verb: str, body: bytes, peer: Peer | None) -> bytes:
        """The encoded answer to the proven server `peer`, or to one that has proven nothing.

        Raises QuorateError for an unknown verb, a body that is not what the verb takes, and a call
        that is not for this peer.
        """
        handler = self._verbs.get(verb)
        if handler is None:
            raise QuorateError(f"unknown call {verb[:40]!r}")
        self._gate.check(verb, peer)
        argument_type, answer = handler
        try:
            argument = msgspec.json.decode(body, type=argument_type)
        except UNDECODABLE as error:
            raise QuorateError(f"{verb}: {error}") from None
        return msgspec.json.encode(await answer(self, argument, peer))

    def call_bytes_max(self, peer: Peer | None) -> int:
        """How large the argument of a call of this peer may be."""
        return CALL_BYTES_MAX if self._gate.is_member(peer) else STRANGERS_CALL_BYTES_MAX

    def is_member(self, peer: Peer | None) -> bool:
        """Whether the peer is proven, and a member of this cluster."""
        return self._gate.is_member(peer)

    def public_problem(self, peer: Peer | None) -> str:
        """Empty, or why a request of the public API is not answered to this peer."""
        return self._gate.public_problem(peer)

    def door(self, peer: Peer | None) -> Door:
        """What says of each request of the public API whether this peer may make it."""
        return self._gate.door(peer)

    async def _greet(self, greeting: Greeting, peer: Peer | None) -> Greeting:
        me = self._me()
        if self._gate.is_named(greeting.me, peer):
            self._watch.greeted(greeting.me)
        objection, rolled_back = self._gate.objection(peer)
        others = tuple(
            known.identity
            for known in (self._directory.all() if self._gate.may_see_others(peer) else ())
            if known.status == "alive" and known.identity.id != me.id
        )
        return Greeting(
            me=me,
            others=others[:GREETED_MAX],
            objection=objection,
            rolled_back=rolled_back,
            member=self._gate.is_member(peer),
            starts=self._gate.starts_for(peer),
        )

    async def _join(self, joiner: Identity, peer: Peer | None) -> JoinAnswer:
        return await self._take_in(joiner, peer, forgive=False)

    async def _rejoin(self, joiner: Identity, peer: Peer | None) -> JoinAnswer:
        return await self._take_in(joiner, peer, forgive=True)

    async def _take_in(self, joiner: Identity, peer: Peer | None, *, forgive: bool) -> JoinAnswer:
        if not self._gate.is_named(joiner, peer):
            raise QuorateError("a server can only join itself, from its own address")
        if why := self._gate.objection(peer)[0]:
            return JoinAnswer(why=why)
        return await self._membership.take_in(joiner, peer, forgive=forgive)

    async def _leave(self, departure: Departure, peer: Peer | None) -> Promise:
        if peer is not None and departure.id != peer.server_id:
            raise QuorateError("a server can only make itself leave")
        return Promise(await self._membership.let_go(departure.id))

    async def _promise(self, proposal: Proposal, peer: Peer | None) -> Promise:
        if not self._gate.may_propose(proposal.proposer, peer):
            return Promise(f"{proposal.proposer[:128]!r} has not answered a call from here as yet")
        return self._bootstrap.promise(proposal)

    async def _commit(self, proposal: Proposal, _: Peer | None) -> Promise:
        answer = await self._bootstrap.commit(proposal)
        if not answer.why:
            self._watch.introduced = True
        return answer

    async def _tell_view(self, _: ViewRequest, __: Peer | None) -> ServerView:
        return self._view()

    async def _tell_digest(self, request: DigestRequest, _: Peer | None) -> DigestAnswer:
        return self._checks.digest_at(request.index, self._applied_index())

    async def _tell_oldest(self, _: OldestRequest, __: Peer | None) -> Oldest:
        return await self._disks.own()

    async def _tell_memory(self, _: MemoryRequest, __: Peer | None) -> MemoryAnswer:
        return await self._memory.own()

    async def _tell_wrapping(self, _: WrappingRequest, __: Peer | None) -> WrappingAnswer:
        return await self._wrapping.own()

    async def _compact(self, _: CompactRequest, __: Peer | None) -> Compacted:
        return await self._compacting.own()

    async def _take_records(self, sent: SentRecords, peer: Peer | None) -> TakenRecords:
        return await self._recorder.take(sent, peer)

    async def _tell_applied(self, _: AppliedRequest, __: Peer | None) -> AppliedAnswer:
        return AppliedAnswer(self._applied_index())

    async def _hear_verdict(self, verdict: Verdict, peer: Peer | None) -> Heard:
        self._judge.heard(verdict, peer.server_id if peer is not None else None)
        return Heard()

    _verbs: ClassVar[dict[str, tuple[Any, Any]]] = {
        "greet": (Greeting, _greet),
        "join": (Identity, _join),
        "rejoin": (Identity, _rejoin),
        "leave": (Departure, _leave),
        "bootstrap-promise": (Proposal, _promise),
        "bootstrap-commit": (Proposal, _commit),
        "view": (ViewRequest, _tell_view),
        "state-digest": (DigestRequest, _tell_digest),
        "state-verdict": (Verdict, _hear_verdict),
        APPLIED_CALL: (AppliedRequest, _tell_applied),
        OLDEST_CALL: (OldestRequest, _tell_oldest),
        MEMORY_CALL: (MemoryRequest, _tell_memory),
        COMPACT_CALL: (CompactRequest, _compact),
        WRAPPING_CALL: (WrappingRequest, _tell_wrapping),
        RECORDS_CALL: (SentRecords, _take_records),
    }
