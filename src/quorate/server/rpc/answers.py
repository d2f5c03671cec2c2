"""What other servers may ask of this one, over the RPC port (`quorate.server.rpc.calls`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from quorate.errors import QuorateError
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.founding import Bootstrap, Promise, Proposal
from quorate.server.cluster.identity import Greeting, Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.cluster.leaving import Departure
from quorate.server.cluster.membership import Membership
from quorate.server.integrity.checks import DigestAnswer, DigestRequest, Heard, StateChecks
from quorate.server.integrity.judge import StateJudge
from quorate.server.integrity.verdict import Verdict
from quorate.server.rpc.calls import UNDECODABLE
from quorate.server.views.raft import ViewRequest
from quorate.server.views.records import ServerView


class Answers:
    """One method for each verb. None of them waits for an operator or a timer."""

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
    ) -> None:
        self._directory = directory
        self._watch = watch
        self._membership = membership
        self._bootstrap = bootstrap
        self._me = me
        self._view = view
        self._checks = checks
        self._judge = judge
        self._applied_index = applied_index

    async def answer(self, verb: str, body: bytes) -> bytes:
        """The encoded answer.

        Raises QuorateError for an unknown verb or a body that is not what the verb takes.
        """
        handler = self._verbs.get(verb)
        if handler is None:
            raise QuorateError(f"unknown call {verb[:40]!r}")
        argument_type, answer = handler
        try:
            argument = msgspec.json.decode(body, type=argument_type)
        except UNDECODABLE as error:
            raise QuorateError(f"{verb}: {error}") from None
        return msgspec.json.encode(await answer(self, argument))

    async def _greet(self, greeting: Greeting) -> Greeting:
        self._watch.greeted(greeting.me)
        me = self._me()
        others = tuple(
            known.identity
            for known in self._directory.all()
            if known.status == "alive" and known.identity.id != me.id
        )
        return Greeting(me=me, others=others)

    async def _join(self, joiner: Identity) -> JoinAnswer:
        return await self._membership.take_in(joiner)

    async def _rejoin(self, joiner: Identity) -> JoinAnswer:
        return await self._membership.take_in(joiner, forgive=True)

    async def _leave(self, departure: Departure) -> Promise:
        return Promise(await self._membership.let_go(departure.id))

    async def _promise(self, proposal: Proposal) -> Promise:
        return self._bootstrap.promise(proposal)

    async def _commit(self, proposal: Proposal) -> Promise:
        answer = await self._bootstrap.commit(proposal)
        if not answer.why:
            self._watch.introduced = True
        return answer

    async def _tell_view(self, _: ViewRequest) -> ServerView:
        return self._view()

    async def _tell_digest(self, request: DigestRequest) -> DigestAnswer:
        return self._checks.digest_at(request.index, self._applied_index())

    async def _hear_verdict(self, verdict: Verdict) -> Heard:
        self._judge.heard(verdict, None)
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
    }
