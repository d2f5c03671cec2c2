"""The application of the RPC port: the public API, and the calls of other servers.

The HTTP port does not know these paths (404). Which peer may ask what is decided by
`quorate.server.rpc.gate`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Final, Protocol

import msgspec

from quorate.api.app import Answering as Later
from quorate.api.app import HttpApplication, InHand, Plan
from quorate.api.codec.encode import text_response
from quorate.api.codec.params import Query
from quorate.api.consistency import CALLER
from quorate.api.endpoint import Endpoint
from quorate.api.endpoints.table import TABLE
from quorate.api.gate.admission import VOUCHED
from quorate.api.http.messages import Request, Response
from quorate.api.parts import Parts
from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.net.peer import Peer

_PREFIX: Final = b"/v1/internal/"

_NO_QUERY: Final = Query({})


class Door(Protocol):
    """The part that decides on the public requests of one peer."""

    def problem(self) -> str:
        """Empty, or why the public API is not for this peer."""


class Answering(Protocol):
    """The part that decides on the requests of other servers, and answers their calls."""

    async def answer(self, verb: str, body: bytes, peer: Peer | None) -> bytes:
        """The answer's body. Raises QuorateError with the refusal."""

    def call_bytes_max(self, peer: Peer | None) -> int:
        """How large the body of a call of this peer may be."""

    def is_member(self, peer: Peer | None) -> bool:
        """Whether the peer is proven, and a member of this cluster."""

    def door(self, peer: Peer | None) -> Door:
        """What says of each request of the public API whether this peer may make it."""


class RpcApplication(HttpApplication):
    """See the module. One connection is served by what `of` gives for its peer."""

    inner = True

    def __init__(
        self,
        parts: Parts,
        metrics: Metrics,
        clock: Callable[[], float],
        random: Random,
        answers: Answering,
        *,
        table: tuple[Endpoint, ...] = TABLE,
    ) -> None:
        super().__init__(parts, metrics, clock, random, table)
        self._answers = answers
        self._regions_prove = parts.options.regions_prove
        self._peer: Peer | None = None
        self._door = answers.door(None)

    def of(self, peer: Peer | None) -> RpcApplication:
        """The application as the proven server `peer` sees it, or one that has proven nothing."""
        seen = copy.copy(self)
        vars(seen).update(_peer=peer, _door=self._answers.door(peer))
        return seen

    def begin(self, request: Request, plan: Plan, began: float) -> Response | InHand | Later:
        """See the base class."""
        if not request.target.startswith(_PREFIX):
            why = self._door.problem() or (self._gate and self._vouching_problem(request))
            return (
                text_response(403, f"refused: {why}")
                if why
                else super().begin(self._believed(request), plan, began)
            )
        if request.method != "POST":
            return text_response(405, "Invalid method")
        return self._later(request, self._call(request))

    def _believed(self, request: Request) -> Request:
        """The request with the address of its caller only if this peer's word on that counts."""
        if not request.header(CALLER) or self._regions_prove or self._answers.is_member(self._peer):
            return request
        headers = tuple(header for header in request.headers if header[0] != CALLER)
        return msgspec.structs.replace(request, headers=headers)

    def _vouching_problem(self, request: Request) -> str:
        """Empty, or why the word of this peer on the origin of a request does not count."""
        if not request.header(VOUCHED) or self._answers.is_member(self._peer):
            return ""
        return "only members of the cluster say how a request came to them"

    def plan(self, method: str, target: bytes) -> Plan:
        """See the base class."""
        if not target.startswith(_PREFIX):
            return super().plan(method, target)
        # A call is answered before its plan is looked at for more than the bound of its body.
        return Plan(None, _NO_QUERY, "", None, self._answers.call_bytes_max(self._peer))

    async def _call(self, request: Request) -> Response:
        verb = request.target[len(_PREFIX) :].decode("latin-1")
        try:
            body = await self._answers.answer(verb, request.body, self._peer)
        except QuorateError as error:
            return text_response(400, str(error))
        return Response(200, body, [(b"Content-Type", b"application/json")])
