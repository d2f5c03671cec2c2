"""The application of the RPC port: the public API, and the calls of other servers.

Only servers reach the RPC port; the HTTP port does not know these paths (404).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from quorate.api.app import Answering, HttpApplication, Plan
from quorate.api.codec.encode import text_response
from quorate.api.codec.params import Query
from quorate.api.consistency import Replicating
from quorate.api.http.messages import Request, Response
from quorate.api.parts import Parts
from quorate.errors import QuorateError
from quorate.metrics import Metrics

_PREFIX: Final = b"/v1/internal/"

_CALL: Final = Plan(None, Query({}), "", None)  # answered before the plan is looked at

AnswerCall = Callable[[str, bytes], Awaitable[bytes]]


class RpcApplication(HttpApplication):
    """See the module. `answer_call` takes the verb and the body, and gives the answer's body."""

    def __init__(
        self,
        parts: Parts,
        metrics: Metrics,
        clock: Callable[[], float],
        random: Random,
        answer_call: AnswerCall,
    ) -> None:
        super().__init__(parts, metrics, clock, random)
        self._answer_call = answer_call

    def begin(self, request: Request, plan: Plan) -> Response | Replicating | Answering:
        """See the base class."""
        if not request.target.startswith(_PREFIX):
            return super().begin(request, plan)
        if request.method != "POST":
            return text_response(405, "Invalid method")
        return self._later(request, self._call(request))

    def plan(self, method: str, target: bytes) -> Plan:
        """See the base class."""
        return _CALL if target.startswith(_PREFIX) else super().plan(method, target)

    async def _call(self, request: Request) -> Response:
        verb = request.target[len(_PREFIX) :].decode("latin-1")
        try:
            body = await self._answer_call(verb, request.body)
        except QuorateError as error:
            return text_response(400, str(error))
        return Response(200, body, [(b"Content-Type", b"application/json")])
