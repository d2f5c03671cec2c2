"""HTTP to other servers over their RPC port: kept connections, one request at a time on each.

Made for forwarding: a request passes through with its bytes, an answer comes back with its bytes.
Parsing is httptools'. A connection that fails while idle is replaced without anyone noticing; one
that fails under a request fails that request (it may have been carried out, so it is not repeated).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from quorate.errors import LeadershipLost, NotReached, QuorateError
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse

_IDLE_MAX = 256
_CONNECT_TIMEOUT_S = 2.0


class _Connection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for the whole answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ForwardResponse] | None = None
        self.usable = True
        self._parser = httptools.HttpResponseParser(self)
        self.sent_at = 0.0
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

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

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"malformed answer: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(str(exc) if exc else "EOF")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        waiter, self._waiter = self._waiter, None
        self.usable = self.usable and self._parser.should_keep_alive()
        response = ForwardResponse(
            status=self._parser.get_status_code(),
            headers=tuple(self._headers),
            body=b"".join(self._body),
        )
        self._reset()
        if waiter is not None and not waiter.done():
            waiter.set_result(response)

    def _fail(self, text: str) -> None:
        self._fail_with(QuorateError(text, "try again"))

    def _fail_with(self, error: QuorateError) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def give_up(self, error: QuorateError) -> None:
        """Whoever waits for an answer hears this instead."""
        self._fail_with(error)
        self.close()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()


class HttpPool:
    """Connections to many servers, by "host:port"."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[_Connection]] = {}
        self._busy: dict[str, set[_Connection]] = {}

    async def request(self, address: str, request: ForwardRequest) -> ForwardResponse:
        """Send `request` to the server at `address`.

        Raises QuorateError with the transport's text: reset, timed out; NotReached if no byte of
        the request has left, because there is no connection.
        """
        connection = await self._connection(address)
        waiter = connection.exchange(_encode(address, request))
        late = QuorateError(f"no answer from {address} within {request.timeout_s:g} s", "try again")
        timer = waiter.get_loop().call_later(request.timeout_s, connection.give_up, late)
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
        if connection.usable:
            idle = self._idle.setdefault(address, deque())
            if len(idle) < _IDLE_MAX:
                idle.append(connection)
            else:
                connection.close()
        return response

    def give_up(self, address: str, sent_before: float) -> None:
        """Wait no longer for answers to what was sent to `address` before that time of the loop.

        Who waits hears LeadershipLost: what was asked may or may not be carried out.
        """
        for connection in tuple(self._busy.get(address, ())):
            if connection.sent_at < sent_before:
                connection.give_up(LeadershipLost())

    async def _connection(self, address: str) -> _Connection:
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, protocol = await loop.create_connection(_Connection, host.strip("[]"), int(port))
        except TimeoutError:
            raise NotReached(f"failed to get conn: dial tcp {address}: i/o timeout") from None
        except (OSError, ValueError) as error:
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


def _encode(address: str, request: ForwardRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1\r\nHost: {address}\r\n".encode("latin-1")]
    lines += [b"%s: %s\r\n" % header for header in request.headers]
    if request.body or request.method in {"PUT", "POST"}:
        lines.append(b"Content-Length: %d\r\n" % len(request.body))
    lines.append(b"\r\n")
    lines.append(request.body)
    return b"".join(lines)
