"""The short way of a request: no task where the answer is there at once, and no ASGI messages.

A request without a body, or with one of known and allowed length, that comes while no other is
being answered, is given to the application as soon as it is complete. An answer that is there
at once is written at once; that of a write in the callback of its future; any other is awaited by
one task and written when that ends. Everything else (a row that streams, a request behind an
unfinished one, `Expect`, a chunked body, a client that does not read, a turn of the loop that has
taken long) goes uvicorn's way, through `AsgiApplication`.

Shorter still: a client sends the same head again and again, where it polls or writes bodies of one
length. Bytes that begin with the whole head of the request before, and are as long, are that head
with a body: they are not parsed a second time. Measured with wrk and a configuration of three
servers: 4.5 us instead of 12 us of our time for each read. The same holds where the target alone
is another one, and plain: a client that works on many variables sends nothing else.

Invariant: answers leave in the order of their requests. The short way is open only while
nothing is unanswered, and uvicorn's own queue keeps the order of the rest. Parsing starts and
ends between two requests when bytes are taken for a repetition, so the parser misses nothing:
an equal head has an equal length of the body, and nothing comes before or behind the two.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable
from functools import partial
from time import monotonic
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.api.app import Answering, Plan
from quorate.api.codec.encode import accepts_gzip, text_response
from quorate.api.consistency import Passing, Replicating
from quorate.api.http.asgi import TRANSPORT, Scope, too_large
from quorate.api.http.guarded import GuardedProtocol, Reading, Shared
from quorate.api.http.messages import Header, Request, Response
from quorate.api.http.turns import MARK_S, TURN_S
from quorate.api.routes import PLAIN_NAME
from quorate.server.rpc.forwarding import ForwardResponse

_CANCELLED_WITH_ITS_CLIENT: Final = "GET"
_REPEATABLE_HEAD_BYTES_MAX: Final = 2048
_REPEATABLE_BYTES_MAX: Final = 16 * 1024  # of head and body: both are kept for a connection
_END_OF_HEAD: Final = b"\r\n\r\n"
_END_OF_LINE: Final = b" HTTP/1.1\r\n"
_PLAIN_TARGET: Final = re.compile(rb"/[\w.~/=&?-]*")
"""What the parser takes as it is, and gives as the target."""

_LENGTH_DIGITS_MAX: Final = 19  # of 2^63


class _NobodyWaits:
    """In the place of an event."""

    def set(self) -> None:
        """Nothing."""


class _Awaited:
    """An answer that is being awaited: what the base class looks at in `cycle`."""

    __slots__ = ("compressed", "disconnected", "keep_alive", "method", "response_complete")
    message_event: ClassVar = _NobodyWaits()

    def __init__(self, method: str, compressed: bool, keep_alive: bool) -> None:
        self.method = method
        self.compressed = compressed
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False


class QuorateHttpProtocol(GuardedProtocol):
    """One connection. Made by `quorate.api.http.listener`."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._body: bytearray | None = None  # of the request on the short way; None: the long way
        self._method = ""
        self._compressed = False
        self._keep_alive = True
        self._plan: Plan | None = None  # what becomes of the last request
        self._request: Request | None = None  # the last one, if it went the short way
        self._head = b""  # its head, if it came alone and in one piece
        self._size = 0  # of head and body; 0 if there is nothing to repeat
        self._method_start = b""  # of the head, up to the target
        self._start = b""  # of the head, up to the target, or to the name that ends it
        self._rest = b""  # of the head, from behind the target on; empty: no other may stand there
        self._sent: Response | None = None  # the last answer to this head that was sent at once,
        self._sent_date = self._sent_bytes = b""  # when, and its bytes
        self._read_task: asyncio.Future[Any] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """A read that nobody waits for any more is given up; a write is not."""
        super().connection_lost(exc)
        if self._read_task is not None:
            self._read_task.cancel()
            self._read_task = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is the request before once more."""
        turns = self._turns
        turns.began = began = monotonic()
        if (
            len(data) == self._size
            and data.startswith(self._head)
            and turns.spent <= TURN_S
            and self._may_answer()
        ):
            self._since = began  # the loop's clock is the same one
            request = self._request
            assert request is not None
            if request.body:
                body = data[len(self._head) :]
                request = Request(
                    request.method, request.target, request.headers, body, remote=self.remote
                )
            at_once = self._answer(request, began)
        elif (
            self._rest
            and turns.spent <= TURN_S
            and self._may_answer()
            and (request := self._of_another_target(data)) is not None
        ):
            self._since = began
            at_once = self._answer(request, began)
        else:
            self._read(data)
            at_once = False
        took = monotonic() - began
        if at_once:
            self.application.durations.observe(took)
        turns.spent = spent = turns.spent + took
        if spent > MARK_S:
            turns.mark()

    def _of_another_target(self, data: bytes) -> Request | None:
        """The request, if it is the one before but for target and body; it is the one to repeat."""
        rest, before, plan, start = self._rest, self._request, self._plan, self._start
        end = data.find(_END_OF_LINE, 0, _REPEATABLE_HEAD_BYTES_MAX)
        head_size = end + len(rest)
        assert before is not None
        assert plan is not None
        if (
            len(data) != head_size + len(before.body)
            or not (data.startswith(rest, end) and data.startswith(self._method_start))
            or head_size > _REPEATABLE_HEAD_BYTES_MAX
        ):
            return None
        target = data[len(self._method_start) : end]
        if plan.start and data.startswith(start) and PLAIN_NAME.fullmatch(data, len(start), end):
            plan = plan.named(data[len(start) : end].decode("ascii"))
        elif _PLAIN_TARGET.fullmatch(target):
            plan = self.application.plan(before.method, target)
            if plan.streams or len(before.body) > plan.body_max:
                return None
            self._start = self._method_start + target[: plan.start]
        else:
            return None
        self._plan = plan
        self._head, self._size = data[:head_size], len(data)
        body = data[head_size:]
        request = Request(before.method, target, before.headers, body, remote=self.remote)
        self._request = request
        return request

    def _read(self, data: bytes) -> None:
        self._size, self._request, self._rest, self._sent = 0, None, b"", None
        message, between = self._message, self.reading is Reading.NOTHING
        super().data_received(data)
        alone = between and self.reading is Reading.NOTHING and self._message == message + 1
        self._remember(data, whole=alone and self._keep_alive)

    def _remember(self, data: bytes, *, whole: bool) -> None:
        """Keep the request, if there was one, where its bytes may come again."""
        request = self._request
        if request is None:
            return
        if whole and len(data) <= _REPEATABLE_BYTES_MAX:
            head_size = data.find(_END_OF_HEAD, 0, _REPEATABLE_HEAD_BYTES_MAX) + len(_END_OF_HEAD)
            # The bytes are more than the two if line ends come before or behind, which is allowed.
            if head_size + len(request.body) == len(data):
                self._head, self._size = data[:head_size], len(data)
                assert self._plan is not None
                self._method_start = start = request.method.encode() + b" "
                self._start = start + request.target[: self._plan.start]
                line = start + request.target
                if data.startswith(line + _END_OF_LINE):
                    self._rest = data[len(line) : head_size]
                return
        self._request = None

    def _may_answer(self) -> bool:
        cycle = self.cycle  # `busy` in its own words: a call more for each request would show
        busy = cycle is not None and not cycle.response_complete
        return not (busy or self.deaf or self._put_aside or self.flow.write_paused)

    # -- parser callbacks ----------------------------------------------------------------------

    def on_headers_complete(self) -> None:
        """Choose the way."""
        if self.deaf:
            return
        self.reading = Reading.BODY
        headers = dict(self.headers)
        parser = self.parser
        version = parser.get_http_version()
        old = version == "1.0"
        # No name twice and a Host among them: what nearly all requests are, and soon seen.
        usual = len(headers) == len(self.headers) and b"host" in headers
        if not usual and not _one_host(self.headers, old=old):
            self.refuse(text_response(400, "a request has one Host header", handled=False))
            return
        if old:
            self.expect_100_continue = False  # RFC 9110, 10.1.1: its client knows no such answer
        self._method = parser.get_method().decode("ascii")
        sites = self.shared.sites
        if sites is not None and (why := sites.objection(self._method, headers)):
            self.refuse(text_response(403, why))
            return
        plan = self._plan = self.application.plan(self._method, self.url)
        length = headers.get(b"content-length")
        if length is not None and _number(length) > plan.body_max:
            self.refuse(too_large(plan.body_max))
            return
        self._streams = plan.streams
        if (
            plan.streams
            or self.busy
            or self.expect_100_continue
            or self.flow.write_paused
            or self._turns.over()
            or b"transfer-encoding" in headers
        ):
            self._go_the_long_way()
            return
        self._keep_alive = (
            parser.should_keep_alive()
            and version == "1.1"
            and not (b"upgrade" in headers and parser.should_upgrade())
        )
        accepted = headers.get(b"accept-encoding")
        self._compressed = accepted is not None and accepts_gzip(accepted)
        self._body = bytearray()

    def on_body(self, body: bytes) -> None:
        """Collect it."""
        if self.deaf:
            return
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer it."""
        if self.deaf:
            return
        self.reading = Reading.NOTHING
        if self._body is None:
            super().on_message_complete()
            return
        request = Request(
            self._method, self.url, self.headers, bytes(self._body), remote=self.remote
        )
        self._request = request
        self._body = None
        began = monotonic()
        if self._answer(request, began):
            self.application.durations.observe(monotonic() - began)

    # -- the ways ------------------------------------------------------------------------------

    def _answer(self, request: Request, began: float) -> bool:
        """Begin to answer; True if that is done, False if the answer comes later."""
        assert self._plan is not None
        result = self.application.begin(request, self._plan, began)
        if isinstance(result, Response):
            self.server_state.total_requests += 1
            date = self.application.date_line()
            if result is self._sent and date is self._sent_date:
                self.transport.write(self._sent_bytes)
            else:
                self._send_first(result, date)
            return True
        cycle = _Awaited(self._method, self._compressed, self._keep_alive)
        self.cycle = cast("RequestResponseCycle", cycle)
        if isinstance(result, Replicating):
            self.shared.answers.add(result.future)
            result.future.add_done_callback(partial(self._replicated, cycle, request, result))
        elif isinstance(result, Passing):
            self._pass(cycle, request, result)
        else:
            self._await(cycle, result)
        return False

    def _send_first(self, response: Response, date: bytes) -> None:
        """Send an answer, and keep its bytes: those of the same one once more, until `date` ends.

        They are of this head: what it asks for of their form is asked for by the next one that is
        not parsed, and one that is parsed forgets them.
        """
        sent = self.send(
            response,
            compressed=self._compressed,
            keep_alive=self._keep_alive,
            head=self._method == "HEAD",
        )
        if self._keep_alive and len(sent) <= _REPEATABLE_BYTES_MAX:
            self._sent, self._sent_date, self._sent_bytes = response, date, sent

    def _await(self, cycle: _Awaited, answering: Answering) -> None:
        task = asyncio.ensure_future(answering, loop=self.loop)
        self.shared.answers.add(task)
        if cycle.method == _CANCELLED_WITH_ITS_CLIENT:
            self._read_task = task
        task.add_done_callback(partial(self._answered, cycle))

    def _replicated(
        self,
        cycle: _Awaited,
        request: Request,
        write: Replicating,
        future: asyncio.Future[tuple[int, Any]],
    ) -> None:
        self.shared.answers.discard(future)
        result = self.application.end(request, write)
        if isinstance(result, Response):
            self._finish(cycle, result)
        else:
            self._await(cycle, result)

    def _pass(self, cycle: _Awaited, request: Request, passing: Passing) -> None:
        future = passing.sent.answer
        self.shared.answers.add(future)
        if cycle.method == _CANCELLED_WITH_ITS_CLIENT:
            self._read_task = future
        future.add_done_callback(partial(self._passed, cycle, request, passing))

    def _passed(
        self,
        cycle: _Awaited,
        request: Request,
        passing: Passing,
        future: asyncio.Future[ForwardResponse],
    ) -> None:
        self.shared.answers.discard(future)
        self._read_task = None
        if future.cancelled():
            passing.sent.abandon(future)
            if not cycle.disconnected:
                self.transport.abort()
            return
        result = self.application.passed(request, passing)
        if isinstance(result, Response):
            self._finish(cycle, result)
        else:
            self._await(cycle, result)

    def _answered(self, cycle: _Awaited, task: asyncio.Future[Response]) -> None:
        self.shared.answers.discard(task)
        self._read_task = None
        if not task.cancelled():
            self._finish(cycle, task.result())
        elif not cycle.disconnected:
            self.transport.abort()

    def _finish(self, cycle: _Awaited, response: Response) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        head = cycle.method == "HEAD"
        self.send(response, compressed=cycle.compressed, keep_alive=cycle.keep_alive, head=head)
        self.on_response_complete()

    def _go_the_long_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super(GuardedProtocol, self).on_message_begin()  # makes the scope, and empties these
        self.headers.extend(headers)
        self.expect_100_continue = expects
        self.url = b"/"  # the base class would choke on targets that we have an answer for
        super().on_headers_complete()
        self.url = url
        raw_path, _, self.scope["query_string"] = url.partition(b"?")
        self.scope["raw_path"] = raw_path
        cast("Scope", self.scope)[TRANSPORT] = self.transport
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False


def _one_host(headers: Iterable[Header], *, old: bool) -> bool:
    """Whether there is one Host header, as RFC 9112 (3.2) wants; HTTP/1.0 may have none."""
    count = sum(name == b"host" for name, _ in headers)
    return count == 1 or (old and not count)


def _number(digits: bytes) -> int:
    """A length of any number of digits: Python converts some thousands of them only."""
    if len(digits) < _LENGTH_DIGITS_MAX:
        return int(digits or b"0")
    significant = digits.strip().lstrip(b"0")
    return int(significant or b"0") if len(significant) < _LENGTH_DIGITS_MAX else sys.maxsize
