"""One connection to another server's RPC port: HTTP, one request at a time.

A request passes through with its bytes, an answer comes back with its bytes. Parsing is httptools'.
A body in pieces goes as fast as the slower side.

A read that clients repeat is answered with the same bytes until the state changes, or the second of
the header Date. Bytes that are the whole answer before are that answer: they are not parsed again.

Invariant: an answer is remembered if the parser stood between two answers before its bytes, and
they are nothing but its head and body, so that it stands there again behind them. So the parser
misses nothing of the same bytes once more, and would find the same in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn, Protocol, cast

import httptools

from quorate.errors import BadFrame, QuorateError
from quorate.net.peer import Peer
from quorate.server.rpc.forwarding import ForwardResponse
from quorate.server.rpc.pieces import ByteStream, Pieces

HEAD_BYTES_MAX: Final = 64 * 1024
"""Head of another server's answer: of names and values of its headers."""

BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Body of an answer that does not come as a stream. The largest of ours have some 5 MB."""

_REPEATABLE_BYTES_MAX: Final = 4 * 1024  # each idle connection keeps as much
_STATUS_LINE: Final = b"HTTP/1.1 "
_END_OF_HEAD: Final = b"\r\n\r\n"


class Keeper(Protocol):
    """The pool of a connection."""

    def answered(
        self, connection: HttpConnection, response: ForwardResponse
    ) -> QuorateError | None:
        """A request without a stream is over. The error, if its answer is to be that."""

    def failed(self, connection: HttpConnection) -> None:
        """No answer comes to the request under way."""


class HttpConnection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for the whole answer."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.place = ("", "")  # its address, and the ID of the server that has to be there
        self.keeper: Keeper | None = None
        self.busy: set[HttpConnection] = set()  # of its address
        self.timeout_s = self.late_at = float("inf")  # of the request under way
        self.to_member = False  # the request under way is not for the leader
        self.last_used_by = 0.0  # time of the loop after which it takes no more requests; 0: none
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ForwardResponse] | None = None
        self.usable = True
        self._parser = httptools.HttpResponseParser(self)
        self.sent_at = 0.0
        self._pieces: Pieces | None = None  # of the answer that is streamed
        self._writable = asyncio.Event()
        self._writable.set()
        self._between = True  # the parser stands between two answers
        self._last: ForwardResponse | None = None  # that ended in the bytes under way
        self._known = b""  # the last answer, where its bytes may come again
        self._known_answer: ForwardResponse | None = None
        self._reset()

    def old(self) -> bool:
        """Is it not to be used any more?"""
        until = self.last_used_by
        return bool(until) and until < asyncio.get_running_loop().time()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def exchange(self, data: bytes) -> asyncio.Future[ForwardResponse]:
        """Send; the future gives the answer or the transport's error."""
        assert self._transport is not None
        assert self._waiter is None
        self._waiter = waiter = self._loop.create_future()
        self.sent_at = self._loop.time()
        self._transport.write(data)
        return waiter

    def stream(
        self, head: bytes, idle_s: float, closed: Callable[[bool], None]
    ) -> asyncio.Future[ForwardResponse]:
        """Send a head, for `send_body` to follow; the future gives the answer without its body."""
        assert self._transport is not None
        self._pieces = Pieces(
            pause=self._transport.pause_reading,
            resume=self._resume_reading,
            closed=closed,
            idle_s=idle_s,
        )
        self._known, self._known_answer = b"", None  # which has its body with it
        return self.exchange(head)

    async def send_body(self, body: ByteStream, idle_s: float) -> None:
        """Send a body in chunks, as fast as the other side reads. Raises what ends the body."""
        assert self._transport is not None
        async for piece in body:
            try:
                async with asyncio.timeout(idle_s):
                    await self._writable.wait()
            except TimeoutError:
                raise QuorateError(
                    f"the other server has not read for {idle_s:g} s", "try again"
                ) from None
            if not self.usable:
                return  # the answer, or the lack of one, says more
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self._transport.write(b"0\r\n\r\n")

    def pause_writing(self) -> None:
        """The other side reads slower than a body comes."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has read enough for more."""
        self._writable.set()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what came of an answer, unless it is the answer before once more."""
        if not self.usable:
            return  # it was given up: what still comes is not kept
        if data == self._known and self._known_answer is not None:
            self._give(self._known_answer)
            return
        self._known, self._known_answer = b"", None
        between = self._between
        self._parse(data)
        answer, self._last = self._last, None
        if between and answer is not None and self.usable:
            self._remember(data, answer)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"malformed answer: {error}")
            self.close()

    def _remember(self, data: bytes, answer: ForwardResponse) -> None:
        """Keep the answer that came with these bytes, if they are one in the usual form."""
        if len(data) > _REPEATABLE_BYTES_MAX or not data.startswith(_STATUS_LINE):
            return
        if data.find(_END_OF_HEAD) + len(_END_OF_HEAD) + len(answer.body) == len(data):
            self._known, self._known_answer = data, answer

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that is waited for does not come any more."""
        self.usable = False
        self._writable.set()
        self._fail(str(exc) if exc else "EOF")

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._between = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, within bounds."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._too_large(f"a head of more than {HEAD_BYTES_MAX} bytes")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """An answer in pieces begins here."""
        if self._pieces is not None:
            self._answer(b"", self._pieces)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, within bounds, or pass it on."""
        if self._pieces is not None:
            self._pieces.put(body)
        else:
            self._body_bytes += len(body)
            if self._body_bytes > BODY_BYTES_MAX:
                self._too_large(f"a body of more than {BODY_BYTES_MAX} bytes")
            self._body.append(body)

    def _too_large(self, what: str) -> NoReturn:
        """Ends the parsing. Raises BadFrame, which the parser passes on as one of its own."""
        self._fail(f"the answer has {what}")
        raise BadFrame(f"the answer has {what}")

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._between = True
        self.usable = self.usable and self._parser.should_keep_alive()
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.end()
            self._reset()
        else:
            self._answer(b"".join(self._body))

    def _answer(self, body: bytes, stream: Pieces | None = None) -> None:
        response = ForwardResponse(
            status=self._parser.get_status_code(),
            headers=tuple(self._headers),
            body=body,
            stream=stream,
            peer=self.peer,
        )
        self._reset()
        self._last = response if stream is None else None
        self._give(response)

    def _give(self, response: ForwardResponse) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        error = None
        if self.keeper is not None and response.stream is None:
            error = self.keeper.answered(self, response)
        if waiter.done():
            return
        if error is None:
            waiter.set_result(response)
        else:
            waiter.set_exception(error)

    def _fail(self, text: str) -> None:
        self._fail_with(QuorateError(text, "try again"))

    def _fail_with(self, error: QuorateError) -> None:
        if self._pieces is not None:
            self._pieces.end(error)
        elif self.keeper is not None:
            self.keeper.failed(self)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def give_up(self, error: QuorateError) -> None:
        """Requests that wait for an answer get this instead."""
        self._fail_with(error)
        self.close()

    def abandon(self, waiter: asyncio.Future[ForwardResponse]) -> None:
        """The answer that this future was for is not wanted any more."""
        if waiter is self._waiter:
            self.close()

    def close(self) -> None:
        """End it. It serves no more requests."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()
