"""HTTP to other servers over their RPC port: kept connections, one request at a time on each.

Made for forwarding: a request passes through with its bytes, an answer comes back with its bytes.
Parsing is httptools'. A connection that fails while idle is replaced without anyone noticing; one
that fails under a request fails that request (it may have been carried out, so it is not repeated).
A request with a stream goes out in pieces, and its answer comes back in pieces, each as fast as the
slower side: neither body is ever in memory as a whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, cast

import httptools

from quorate.errors import BadFrame, LeadershipLost, NotReached, ProvesNothing, QuorateError
from quorate.net.dial import NoProofError, dial, host_and_port
from quorate.net.names import connect
from quorate.net.peer import Peer
from quorate.net.trust import Trust
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.pieces import ByteStream, Pieces

_IDLE_MAX = 256

HEAD_BYTES_MAX = 64 * 1024
"""Head of another server's answer: of names and values of its headers."""

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Body of an answer that does not come as a stream. The largest of ours have some 5 MB."""

_CONNECT_TIMEOUT_S = 2.0
_FORBIDDEN = 403


class _Connection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for the whole answer."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.place = ("", "")  # its address, and the ID of the server that has to be there
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ForwardResponse] | None = None
        self.usable = True
        self._parser = httptools.HttpResponseParser(self)
        self.sent_at = 0.0
        self._pieces: Pieces | None = None  # of the answer that is streamed
        self._writable = asyncio.Event()
        self._writable.set()
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def exchange(self, data: bytes) -> asyncio.Future[ForwardResponse]:
        """Send; the future gives the answer or the transport's error."""
        assert self._transport is not None
        assert self._waiter is None
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self.sent_at = loop.time()
        self._transport.write(data)
        return self._waiter

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
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if not self.usable:
            return  # it was given up: what still comes is not kept
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"malformed answer: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._writable.set()
        self._fail(str(exc) if exc else "EOF")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._too_large(f"a head of more than {HEAD_BYTES_MAX} bytes")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._pieces is not None:
            self._answer(b"", self._pieces)

    def on_body(self, body: bytes) -> None:
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
        self.usable = self.usable and self._parser.should_keep_alive()
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.end()
            self._reset()
        else:
            self._answer(b"".join(self._body))

    def _answer(self, body: bytes, stream: Pieces | None = None) -> None:
        waiter, self._waiter = self._waiter, None
        response = ForwardResponse(
            status=self._parser.get_status_code(),
            headers=tuple(self._headers),
            body=body,
            stream=stream,
            peer=self.peer,
        )
        self._reset()
        if waiter is not None and not waiter.done():
            waiter.set_result(response)

    def _fail(self, text: str) -> None:
        self._fail_with(QuorateError(text, "try again"))

    def _fail_with(self, error: QuorateError) -> None:
        if self._pieces is not None:
            self._pieces.end(error)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def give_up(self, error: QuorateError) -> None:
        """Requests that wait for an answer get this instead."""
        self._fail_with(error)
        self.close()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()


class HttpPool:
    """Connections to many servers, by "host:port" and the server that has to be there.

    Without `trust` nothing is proven on them.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust
        self._idle: dict[tuple[str, str], deque[_Connection]] = {}
        self._busy: dict[str, set[_Connection]] = {}

    async def request(
        self, address: str, request: ForwardRequest, server_id: str = ""
    ) -> ForwardResponse:
        """Send `request` to the server at `address`, which must be `server_id` if that is given.

        Raises QuorateError with the transport's text: reset, timed out; NotReached if no byte of
        the request has left, because there is no connection, or one to another server.
        """
        connection = await self._connection(address, server_id)
        connection.place = (address, server_id)
        if request.stream is not None:
            return await self._stream(address, connection, request, request.stream)
        waiter = connection.exchange(_encode(address, request))
        timer = waiter.get_loop().call_later(
            request.timeout_s, connection.give_up, _late(address, request)
        )
        busy = self._busy.setdefault(address, set())
        busy.add(connection)
        try:
            response = await waiter
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            timer.cancel()
            busy.discard(connection)
        self._keep(connection)
        self._take_refusal(address, connection, response)
        return response

    def _take_refusal(
        self, address: str, connection: _Connection, response: ForwardResponse
    ) -> None:
        """Raises NotReached if the cluster's level has just risen: connections are proven now."""
        if response.status == _FORBIDDEN and self._must_prove(connection, lately=True):
            connection.close()
            raise NotReached(f"{address} takes no request without proof", "try again")

    def _must_prove(self, connection: _Connection, *, lately: bool = False) -> bool:
        """True for a connection without proof where there must be one, or will be in a moment."""
        trust = self.trust
        return trust is not None and connection.peer is None and (lately or not trust.lenient())

    def _keep(self, connection: _Connection) -> None:
        """A request is over: the connection waits for the next one, if it can."""
        if not connection.usable:
            return
        idle = self._idle.setdefault(connection.place, deque())
        if len(idle) < _IDLE_MAX:
            idle.append(connection)
        else:
            connection.close()

    async def _stream(
        self, address: str, connection: _Connection, request: ForwardRequest, body: ByteStream
    ) -> ForwardResponse:
        """`request` with bodies in pieces: gives the answer when its head has come."""
        busy = self._busy.setdefault(address, set())
        busy.add(connection)

        def closed(whole: bool) -> None:
            busy.discard(connection)
            if whole and sending.done():
                self._keep(connection)
            else:  # answered before the end of the body: no more of it is wanted
                sending.cancel()
                connection.close()

        idle_s = request.timeout_s
        head = connection.stream(_encode(address, request), idle_s, closed)
        sending = asyncio.ensure_future(connection.send_body(body, idle_s))
        for future in (head, sending):
            future.add_done_callback(_seen)
        try:
            await asyncio.wait((head, sending), return_when=asyncio.FIRST_COMPLETED)
            if not head.done():
                sending.result()
                async with asyncio.timeout(request.timeout_s):
                    await asyncio.wait((head,))
            response = head.result()
            self._take_refusal(address, connection, response)
        except BaseException as error:
            closed(whole=False)
            if isinstance(error, TimeoutError):
                raise _late(address, request) from None
            raise
        return response

    def give_up(self, address: str, sent_before: float) -> None:
        """Wait no longer for answers to what was sent to `address` before that time of the loop.

        Who waits hears LeadershipLost: what was asked may or may not be carried out.
        """
        for connection in tuple(self._busy.get(address, ())):
            if connection.sent_at < sent_before:
                connection.give_up(LeadershipLost())

    async def _connection(self, address: str, server_id: str) -> _Connection:
        idle = self._idle.get((address, server_id))
        while idle:
            connection = idle.pop()
            if connection.usable and not self._must_prove(connection):
                return connection
            connection.close()
        try:
            if self.trust is not None:
                protocol, peer = await dial(
                    address,
                    _Connection,
                    self.trust,
                    server_id=server_id,
                    timeout_s=_CONNECT_TIMEOUT_S,
                )
                protocol.peer = peer
                return protocol
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, protocol = await connect(_Connection, *host_and_port(address))
        except TimeoutError:
            raise NotReached(f"failed to get conn: dial tcp {address}: i/o timeout") from None
        except NoProofError as error:
            raise ProvesNothing(f"{address} is not believed: {error}") from None
        except (OSError, ValueError, QuorateError) as error:
            reason = "connect: connection refused" if _refused(error) else str(error)
            raise NotReached(f"failed to get conn: dial tcp {address}: {reason}") from None
        return protocol

    def close(self) -> None:
        """End all idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


def _refused(error: Exception) -> bool:
    return isinstance(error, ConnectionRefusedError)


def _seen(future: asyncio.Future[Any]) -> None:
    """Of two errors, that of the body and that of the answer, the caller hears one."""
    if not future.cancelled():
        future.exception()


def _late(address: str, request: ForwardRequest) -> QuorateError:
    return QuorateError(f"no answer from {address} within {request.timeout_s:g} s", "try again")


def _encode(address: str, request: ForwardRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1\r\nHost: {address}\r\n".encode("latin-1")]
    lines += [b"%s: %s\r\n" % header for header in request.headers]
    if request.stream is not None:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif request.body or request.method in {"PUT", "POST"}:
        lines.append(b"Content-Length: %d\r\n" % len(request.body))
    lines.append(b"\r\n")
    lines.append(request.body)
    return b"".join(lines)
