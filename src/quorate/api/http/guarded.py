"""uvicorn's HTTP/1.1 protocol with a guard: what one connection can cost us is bounded.

Invariant: a head and a body are bounded by their limits, and waited for no longer than
`ListenerConfig` says. Input is given to the parser in slices, and is put aside, with reading
paused, while the client owes us something: while it does not read our answers, or has sent
requests ahead of an unfinished one. So requests sent ahead are bounded by a slice, too.

A refusal is written, our side is closed, and what the client still sends is thrown away for a
moment, since closing at once would reset the connection before the client has read why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from time import monotonic
from typing import Any, Final

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from quorate.api.app import HttpApplication
from quorate.api.codec.encode import text_response
from quorate.api.http.asgi import DISCARDED_BYTES_MAX
from quorate.api.http.limits import NO_ROOM, TOO_MANY, ConnectionLimiter, ListenerConfig
from quorate.api.http.messages import Response, endpoint_of
from quorate.api.http.sites import Sites
from quorate.api.http.turns import TURN_S, Turns

logger: Final = logging.getLogger(__name__)

SLICE_BYTES: Final = 1024
"""So much is parsed at once: some ten requests, or a hundred chunks of a body. Requests that are
parsed and wait cost much more memory than their bytes, and time in each collection of garbage.
"""

ASIDE_BYTES_MAX: Final = 16 * 1024
ASIDE_PIECES_MAX: Final = 8
"""With more of a client waiting here, no more is read from it."""

KEEP: Final = b"\r\n"
CLOSE: Final = b"Connection: close\r\n\r\n"


class Reading(Enum):
    """The state of the parser."""

    NOTHING = "between two requests"
    HEAD = "a head"
    BODY = "a body"


class Shared:
    """The state that the connections of one listener share."""

    def __init__(
        self,
        application: HttpApplication,
        config: Config,
        limits: ListenerConfig,
        limiter: ConnectionLimiter,
        *,
        turns: Turns,
        sites: Sites | None,
    ) -> None:
        self.sites = sites
        self.application = application
        self.config = config
        self.limits = limits
        self.limiter = limiter
        self.turns = turns
        self.state = ServerState()
        self.answers: set[asyncio.Future[Any]] = set()
        self.connection_lost: Callable[[], None] | None = None


class _Flow(FlowControl):
    """Reads nothing from the client while anything of it waits here, though a request may ask."""

    def __init__(self, transport: asyncio.Transport, put_aside: list[bytes]) -> None:
        super().__init__(transport)
        self._put_aside = put_aside

    def resume_reading(self) -> None:
        """Unless there is enough to read here."""
        if not self._put_aside:
            super().resume_reading()


class GuardedProtocol(HttpToolsProtocol):
    """One connection, guarded."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared.config, shared.state, {})
        self.access_log = False
        self.application = shared.application
        self.shared = shared
        self.reading = Reading.NOTHING
        self.deaf = False  # what still comes is not for us
        self._limits = shared.limits
        self._limiter = shared.limiter
        self._turns = shared.turns
        self._waits = False  # for its turn, to read on
        self._admitted_ip: str | None = None
        self._message = 0
        self._timed = (0, Reading.NOTHING)
        self._streams = False  # the body is waited for from piece to piece
        self._since = 0.0
        self._lingers = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # when it fires; uvloop's handles cannot always say
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._put_aside: list[bytes] = []
        self.remote = ""  # the other end of the connection
        self._running: RequestResponseCycle | None = None  # the last one that was started

    @property
    def busy(self) -> bool:
        """Whether an answer is being awaited."""
        return self.cycle is not None and not self.cycle.response_complete

    # -- the connection ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Admit the client, or tell it that it has too many connections."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._put_aside)
        ip = self.client[0] if self.client else ""
        self.remote = endpoint_of(self.client)
        if self._limiter.admit(ip):
            self._admitted_ip = ip
            self._wait_from_now()
        elif self._limiter.may_tell():
            self._close_after(NO_ROOM if self._limiter.full else TOO_MANY)
        else:
            self.deaf = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._write_timer = None
        if self._admitted_ip is not None:
            self._limiter.release(self._admitted_ip)
            self._admitted_ip = None
        self._put_aside.clear()
        # The base class tells the newest cycle alone, and others wait or run before it.
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)
        if self.shared.connection_lost is not None:
            self.shared.connection_lost()

    def shutdown(self) -> None:
        """Close once the request in hand is answered; at once if there is none."""
        if not self.busy:
            self.deaf = True
        super().shutdown()

    # -- input ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it must wait."""
        if self.deaf:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > DISCARDED_BYTES_MAX:
                self.transport.abort()
        elif self._put_aside or self._client_owes() or self._turns.spent > TURN_S:
            self._put_aside.append(data)
            self._wait_for_turn()
        else:
            self._feed(data)

    def _client_owes(self) -> bool:
        return self.flow.write_paused or bool(self.pipeline)

    def _feed(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_BYTES):
            if start and (self._client_owes() or self._turns.over()):
                self._put_aside.insert(0, data[start:])
                self._wait_for_turn()
                break
            self._parse(data[start : start + SLICE_BYTES])
            if self.deaf:
                return
        if self.reading is Reading.NOTHING:
            self._since = self.loop.time()
        elif self._streams or self._timed != (self._message, self.reading):
            self._timed = (self._message, self.reading)
            self._wait_from_now()

    def _wait_for_turn(self) -> None:
        # A client that has gone is noticed only while it is read from.
        aside = self._put_aside
        if len(aside) > ASIDE_PIECES_MAX or sum(map(len, aside)) > ASIDE_BYTES_MAX:
            self.flow.pause_reading()
        if not (self._waits or self._client_owes()):
            self._waits = True
            self._turns.put(self._read_on)

    def _read_on(self) -> None:
        self._turns.began = monotonic()
        self._waits = False
        if not self.transport.is_closing():
            self._take_up()
        self._turns.spend()

    def _parse(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.deaf = True  # answered as if nothing else had been asked for, and then closed
        except httptools.HttpParserCallbackError:
            logger.exception("internal error in reading a request")
            self.deaf = True
            self.transport.abort()
        except httptools.HttpParserError:
            self.refuse(text_response(400, "this is not a valid HTTP/1.1 request", handled=False))
        if self.reading is Reading.HEAD and not self.deaf:
            self._head_bytes += len(piece)
            if self._head_bytes > self._limits.head_bytes_max:
                limit = self._limits.head_bytes_max
                text = f"the request headers are over the limit of {limit} bytes"
                self.refuse(text_response(431, text, handled=False))

    def on_message_begin(self) -> None:
        """Start a request. The base class's scope is made only for requests that need it."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.reading = Reading.HEAD
        self._streams = False
        self._message += 1
        self._head_bytes = 0

    # -- output --------------------------------------------------------------------------------

    def send(self, response: Response, *, compressed: bool, keep_alive: bool, head: bool) -> bytes:
        """Write a whole answer, and return its bytes; `head` leaves its body out."""
        rendered = self.application.renderer.render(response, compressed=compressed)
        end = KEEP if keep_alive else CLOSE
        body = b"" if head else rendered.body
        data = b"".join((rendered.head, self.application.date_line(), end, body))
        self.transport.write(data)
        if not keep_alive:
            self.deaf = True
            self.transport.close()
        return data

    def refuse(self, response: Response) -> None:
        """Answer and close, whatever else comes. Behind an unfinished answer: only close."""
        if self.deaf:
            return
        if self.busy:
            self.deaf = True
            self.transport.close()
            return
        rendered = self.application.renderer.render(response, compressed=False)
        self._close_after(rendered.head + self.application.date_line() + CLOSE + rendered.body)

    def _close_after(self, data: bytes) -> None:
        self.deaf = self._lingers = True
        self._put_aside.clear()
        self.transport.write(data)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._wait_from_now()
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with what was sent ahead, or wait for the next request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self.reading is Reading.NOTHING:
            self._since = self.loop.time()
        if self._put_aside or self.flow.read_paused:
            self._take_up()

    def _take_up(self) -> None:
        """Parse what was put aside, as far as that may be."""
        while self._put_aside and not (self._waits or self._client_owes() or self.deaf):
            self._feed(self._put_aside.pop(0))
        if not self._put_aside and not self._client_owes():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """The client does not read: parse no more of its requests, and not for ever."""
        super().pause_writing()
        self.flow.pause_reading()
        if self._write_timer is None:
            delay = self._limits.write_timeout_s
            self._write_timer = self.loop.call_later(delay, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if not self.transport.is_closing():
            self._take_up()

    # -- time ----------------------------------------------------------------------------------

    def _wait_from_now(self) -> None:
        self._since = self.loop.time()
        self._arm(self._deadline())

    def _deadline(self) -> float:
        """When we stop waiting for the client."""
        limits = self._limits
        if self._lingers:
            return self._since + limits.linger_s
        if self.reading is Reading.HEAD:
            return self._since + limits.head_timeout_s
        if self.reading is Reading.BODY:
            return self._since + limits.body_timeout_s
        return self._since + limits.idle_timeout_s

    def _we_pause(self) -> bool:
        """Whether a body that is streamed has to wait for its handler."""
        return self._streams and self.flow.read_paused

    def _arm(self, deadline: float) -> None:
        # Requests only move `_since`; the timer finds that out when it fires. It is set again
        # only for an earlier deadline, so a request that comes in one piece costs no timer.
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline, self._check)

    def _check(self) -> None:
        self._timer = None
        now = self.loop.time()
        if self.busy and (self.reading is Reading.NOTHING or self._we_pause()):
            self._since = now  # it is we who keep the client waiting
        deadline = self._deadline()
        if now < deadline:
            self._arm(deadline)
        elif self._lingers:
            self.transport.abort()
        elif self.reading is Reading.NOTHING:
            self.deaf = True
            self.transport.close()
        else:
            what = self.reading.value
            self.refuse(text_response(408, f"{what} took too long to arrive", handled=False))
