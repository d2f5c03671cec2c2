"""HTTP to other servers over their RPC port: kept connections, one request at a time on each.

Made for forwarding. A connection that fails while idle is replaced without anyone noticing; one
that fails under a request fails that request (it may have been carried out, so it is not repeated).
A request with a stream goes out in pieces, and its answer comes back in pieces, each as fast as the
slower side: neither body is ever in memory as a whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from quorate.errors import LeadershipLost, NotReached, ProvesNothing, QuorateError
from quorate.net.dial import NoProofError, dial, host_and_port
from quorate.net.names import connect
from quorate.net.trust import Trust
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.http_connection import HttpConnection
from quorate.server.rpc.pieces import ByteStream

_IDLE_MAX = 256

_CONNECT_TIMEOUT_S = 2.0
_FORBIDDEN = 403


class HttpPool:
    """Connections to many servers, by "host:port" and the server that has to be there.

    Without `trust` nothing is proven on them.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust
        self._idle: dict[tuple[str, str], deque[HttpConnection]] = {}
        self._busy: dict[str, set[HttpConnection]] = {}

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
        self, address: str, connection: HttpConnection, response: ForwardResponse
    ) -> None:
        """Raises NotReached if the cluster's level has just risen: connections are proven now."""
        if response.status == _FORBIDDEN and self._must_prove(connection, lately=True):
            connection.close()
            raise NotReached(f"{address} takes no request without proof", "try again")

    def _must_prove(self, connection: HttpConnection, *, lately: bool = False) -> bool:
        """True for a connection without proof where there must be one, or will be in a moment."""
        trust = self.trust
        return trust is not None and connection.peer is None and (lately or not trust.lenient())

    def _keep(self, connection: HttpConnection) -> None:
        """A request is over: the connection waits for the next one, if it can."""
        if not connection.usable:
            return
        idle = self._idle.setdefault(connection.place, deque())
        if len(idle) < _IDLE_MAX:
            idle.append(connection)
        else:
            connection.close()

    async def _stream(
        self, address: str, connection: HttpConnection, request: ForwardRequest, body: ByteStream
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

    async def _connection(self, address: str, server_id: str) -> HttpConnection:
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
                    HttpConnection,
                    self.trust,
                    server_id=server_id,
                    timeout_s=_CONNECT_TIMEOUT_S,
                )
                protocol.peer = peer
                return protocol
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, protocol = await connect(HttpConnection, *host_and_port(address))
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
