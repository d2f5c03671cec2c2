"""The HTTP application: one request in, one response out, at once where that is possible.

Invariant: `handle` and the ASGI form never let an exception out and always give one response.
What is the caller's mistake is named in one line; what is our own is logged with its traceback
under a short id, and the caller is told the id alone.

Most reads on a leader are answered without an await, so `handle` gives their response directly:
`http_protocol` then needs no task for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from random import Random
from time import monotonic
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec

from quorate.api.acting import Acts, Refusals
from quorate.api.codec.encode import Renderer, text_response
from quorate.api.codec.params import NO_QUERY, Query, parse_query
from quorate.api.consistency import REFUSED_UNBEGUN, Authority, Passing, Replicating
from quorate.api.endpoint import Context, Endpoint, Handler
from quorate.api.endpoints.table import TABLE
from quorate.api.events import RequestEvents
from quorate.api.gate.authority import GuardedAuthority
from quorate.api.gate.gate import Gate, control_handler
from quorate.api.http.cors import Cors, asked_for_tokens
from quorate.api.http.messages import BODY_BYTES_MAX, TARGET_BYTES_MAX, Call, Request, Response
from quorate.api.parts import Parts
from quorate.api.request_error import RequestError
from quorate.api.routes import Match, Routes
from quorate.api.status import error_response
from quorate.errors import PermissionDenied, QuorateError
from quorate.metrics import Metrics

logger: Final = logging.getLogger(__name__)

Answering = Coroutine[Any, Any, Response] | asyncio.Future[Response]

InHand = Replicating | Passing
"""What costs no task: the callback of a future answers."""

_PLANS_MAX: Final = 512
_PLANNED_TARGET_BYTES_MAX: Final = 256

_READS: Final = frozenset({"GET", "HEAD"})


class Plan(msgspec.Struct, frozen=True):
    """The result of method and target alone: the handler with its parameters, or the answer.

    Behind the first `start` bytes of the target any plain name leads to the same row (`named`), if
    that is not 0.
    """

    handler: Handler | None
    query: Query
    tail: str
    answer: Response | None
    body_max: int = BODY_BYTES_MAX
    streams: bool = False
    cors: bool = False
    start: int = 0
    row: Endpoint | None = None

    def named(self, name: str) -> Plan:
        """The plan for another plain name (`routes.PLAIN_NAME`) behind the start."""
        assert self.start, "it is the plan of a name"
        return Plan(
            *(self.handler, self.query, name, None, self.body_max, self.streams, self.cors),
            *(self.start, self.row),
        )


class HttpApplication:
    """The API of one server. `clock` gives Unix seconds; `random` spreads waits.

    With `control` it is that of the control socket, with the rows that no port serves.
    """

    inner: ClassVar[bool] = False
    """Whether it serves members of the cluster alone, whose word on a request's origin counts."""

    def __init__(
        self,
        parts: Parts,
        metrics: Metrics,
        clock: Callable[[], float],
        random: Random,
        table: tuple[Endpoint, ...] = TABLE,
        *,
        control: bool = False,
    ) -> None:
        self._metrics = metrics
        self._writes = metrics.histogram("quorate.raft.write_seconds")
        self.durations = metrics.histogram("quorate.http.request_seconds", holds=self._writes)
        """Of requests; the caller of `begin` records what is answered at once."""
        self._requests = metrics.counter("nomad.http.request")
        self._clock = clock
        self._random = random
        self._gate = None if control else self._make_gate(parts)
        self._authority = (
            Authority(parts, random)
            if self._gate is None
            else GuardedAuthority(parts, random, self._gate)
        )
        context = Context(
            parts=parts,
            authority=self._authority,
            metrics=metrics,
            clock=clock,
            table=tuple(row for row in table if control or not row.control_only),
        )
        self._events = None
        if parts.sink is not None and not self.inner:
            self._events = RequestEvents(
                *(parts.sink, parts, clock, self._make_id), control=control
            )
        self._acts = Acts(parts.recorder, inner=self.inner)
        self._refusals = None if self._gate is None else Refusals(parts, clock, inner=self.inner)
        self._routes = Routes(context, _behind(self._acts, self._gate, control=control))
        self._plans: dict[tuple[str, bytes], Plan] = {}
        self._date: tuple[int, bytes] = (-1, b"")
        self.renderer = Renderer(parts.options.http_headers)
        self._cors = Cors(parts.options.http_headers, on=asked_for_tokens(parts))

    def _make_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _make_gate(self, parts: Parts) -> Gate | None:
        """What asks whether callers may; None while access control is off."""
        if not parts.access.enabled:
            return None
        options = parts.options
        return Gate(
            parts.access,
            parts.leadership,
            self._clock,
            silence_max_s=options.acl.silence_max_s,
            inner=self.inner,
            host_is_near=options.acl.host_is_near,
        )

    def handle(self, request: Request) -> Response | Answering:
        """The response, or what gives it later. Never raises, nor does that."""
        began = monotonic()
        result = self.begin(request, self.plan(request.method, request.target), began)
        if isinstance(result, Response):
            self.durations.observe(monotonic() - began)
            return result
        if isinstance(result, Passing):
            return self._timed(result.began, request, result.call.query, result)
        return self._replicated(request, result) if isinstance(result, Replicating) else result

    def begin(self, request: Request, plan: Plan, began: float) -> Response | InHand | Answering:
        """Like `handle`; a write in hand is given as such, and `end` makes its response.

        So a write costs no task and no turn of the loop between its commit and its answer. A read
        on its way to the leader is given as such, too, and `passed` makes its response. `began` is
        now, by `time.monotonic`.
        """
        if self._events is not None and self._events.wanted(request):
            return self._events.around(request, plan.row, lambda: self._whole(request, plan, began))
        return self._begin(request, plan, began)

    async def _whole(self, request: Request, plan: Plan, began: float) -> Response:
        """The response, waited for."""
        result = self._begin(request, plan, began)
        if isinstance(result, Passing):
            result = self._timed(result.began, request, result.call.query, result)
        elif isinstance(result, Replicating):
            result = self._replicated(request, result)
        return result if isinstance(result, Response) else await result

    def _begin(self, request: Request, plan: Plan, began: float) -> Response | InHand | Answering:
        self._requests.count += 1
        result: Response | InHand | Answering
        try:
            if plan.handler is None:
                assert plan.answer is not None
                result = plan.answer
            else:
                given = plan.handler(Call(request, plan.query, plan.tail))
                if isinstance(given, (Response, Replicating, Passing)):
                    result = given
                else:
                    result = self._timed(began, request, plan.query, given)
        except Exception as error:  # noqa: BLE001  told in `_failed`
            result = self._failed(request, error)
        return self._readable(request, result) if plan.cors else result

    def _readable(
        self, request: Request, result: Response | InHand | Answering
    ) -> Response | InHand | Answering:
        if isinstance(result, Replicating) or not request.header(b"origin"):
            return result
        if isinstance(result, Passing):
            result = self._timed(result.began, request, result.call.query, result)

        async def later(answering: Answering) -> Response:
            return self._cors.readable(request, await answering)

        if isinstance(result, Response):
            return self._cors.readable(request, result)
        return later(result)

    async def _timed(
        self, began: float, request: Request, query: Query, result: Awaitable[Response]
    ) -> Response:
        response = await self._later(request, result)
        if not query.index:  # a blocking query waits on purpose
            self.durations.observe(monotonic() - began)
        return response

    def end(self, request: Request, write: Replicating) -> Response | Answering:
        """The response to a write whose future is done; never raises, nor does what it gives."""
        self._writes.observe(monotonic() - write.began)
        try:
            return self._authority.confirmed(write)
        except REFUSED_UNBEGUN:
            again = self._authority.again(write)
            if write.act is not None:
                write.act.entered = False
                again = self._acts.carried_out(write.act, again)
            return self._later(request, again)
        except Exception as error:  # noqa: BLE001  told in `_failed`
            if write.act is not None and isinstance(error, QuorateError):
                return self._later(request, self._acts.failed(write.act, error))
            return self._failed(request, error)

    def passed(self, request: Request, passing: Passing) -> Response | Answering:
        """The response to a read whose future is done; never raises, nor does what it gives."""
        try:
            result = passing.passed(passing)
        except Exception as error:  # noqa: BLE001  told in `_failed`
            return self._failed(request, error)
        query = passing.call.query
        if not isinstance(result, Response):
            return self._timed(passing.began, request, query, result)
        if not query.index:
            self.durations.observe(monotonic() - passing.began)
        return result

    async def _replicated(self, request: Request, write: Replicating) -> Response:
        await asyncio.wait((write.future,))
        result = self.end(request, write)
        return result if isinstance(result, Response) else await result

    async def _later(self, request: Request, result: Awaitable[Response]) -> Response:
        try:
            return await result
        except Exception as error:  # noqa: BLE001  told in `_failed`
            return self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> Response:
        """The answer to a request that an exception ended: the caller's mistake, or ours."""
        if isinstance(error, RequestError | QuorateError):
            if self._refusals is not None and isinstance(error, PermissionDenied):
                self._refusals.count(request)
            return _refused(error)
        self._metrics.incr("nomad.http.internal_error")
        error_id = f"{self._random.getrandbits(32):08x}"  # the log and the caller speak of it so
        place = (error_id, request.method, request.target[:200])
        logger.error("internal error %s in %s %r", *place, exc_info=error)
        return text_response(500, f"internal error (id {error_id})")

    def plan(self, method: str, target: bytes) -> Plan:
        """The handling of such a request, and the bound of its body."""
        plan = self._plans.get((method, target))
        if plan is None:
            plan = self._plain_plan(method, target) or self._new_plan(method, target)
        return plan

    def _plain_plan(self, method: str, target: bytes) -> Plan | None:
        """That of a plain name below a path.

        It is not kept: names are many, and would push out the plans that are asked for again.
        """
        found = self._routes.below(method, target)
        if found is None or len(target) > _PLANNED_TARGET_BYTES_MAX:
            return None
        match, tail = found
        row = match.row
        start = len(target) - len(tail)
        return Plan(
            *(match.handler, NO_QUERY, tail, None, row.body_max, row.streams),
            *(self._cors_of(row), start, row),
        )

    def _new_plan(self, method: str, target: bytes) -> Plan:
        try:
            plan = self._make_plan(method, target)
        except Exception as error:  # noqa: BLE001  told in `_failed`
            return _answered(self._failed(Request(method, target), error))
        if len(target) <= _PLANNED_TARGET_BYTES_MAX:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[method, target] = plan
        return plan

    def _make_plan(self, method: str, target: bytes) -> Plan:
        if len(target) > TARGET_BYTES_MAX:
            return _answered(
                text_response(414, f"the URL is over the limit of {TARGET_BYTES_MAX} bytes")
            )
        match = self._routes.find(method, target)
        if not isinstance(match, Match):
            return _answered(match)
        try:
            query = parse_query(target.partition(b"?")[2], read=method in _READS)
        except RequestError as error:
            answer = text_response(error.status, error.text)
            return Plan(None, Query({}), "", answer, cors=self._cors_of(match.row))
        row = match.row
        cors = self._cors_of(row)
        return Plan(
            *(match.handler, query, match.tail, None, row.body_max, row.streams, cors, 0, row)
        )

    def _cors_of(self, row: Endpoint) -> bool:
        """Whether pages of other sites may read what the row answers."""
        return row.cors and self._cors.on

    def date_line(self) -> bytes:
        """The header line `Date` of now, with its line end."""
        second = int(self._clock())
        if second != self._date[0]:
            self._date = (second, f"Date: {formatdate(second, usegmt=True)}\r\n".encode())
        return self._date[1]


def _behind(
    acts: Acts, gate: Gate | None, *, control: bool
) -> Callable[[Endpoint, Handler], Handler]:
    """What makes a handler the one that is called: the gate in front, the act behind it."""
    if control:
        return lambda row, handler: control_handler(acts.told(row, handler))
    if gate is None:
        return acts.told
    return lambda row, handler: gate.guard(row, acts.told(row, handler))


def _answered(answer: Response) -> Plan:
    return Plan(None, Query({}), "", answer)


def _refused(error: RequestError | QuorateError) -> Response:
    if isinstance(error, RequestError):
        return text_response(error.status, error.text)
    return error_response(error)
