"""HTTP to other servers over their RPC port: kept connections, one request at a time on each.

Made for forwarding. A connection that fails while idle is replaced without anyone noticing; one
that fails under a request fails that request (it may have been carried out, so it is not repeated).
A request with a stream goes out in pieces, and its answer comes back in pieces, each as fast as the
slower side: neither body is ever in memory as a whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from msgspec.structs import replace

from quorate.errors import LeadershipLost, NotReached, ProvesNothing, QuorateError
from quorate.net.dial import NoProofError, dial, host_and_port
from quorate.net.names import connect, unanswered
from quorate.net.tls.accepting import ENDED_WITHIN_S
from quorate.net.trust import Trust
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse, OnItsWay
from quorate.server.rpc.http_connection import HttpConnection
from quorate.server.rpc.pieces import ByteStream

_IDLE_MAX = 256

TLS_USED_S: Final = 0.75 * ENDED_WITHIN_S
"""For so long a connection with TLS is used again. The listener ends those that are older once its
certificates were exchanged, and a request on its way at that moment would have no answer."""
_CONNECT_TIMEOUT_S = 2.0
_FORBIDDEN = 403
_TOKEN: Final = b"x-nomad-token"
_NEVER = float("inf")
_ADDRESSES_MAX = 4  # for which a request is kept in bytes


class HttpPool:
    """Connections to many servers, by "host:port" and the server that has to be there.

    Without `trust` nothing is proven on them.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust
        self._idle: dict[tuple[str, str], deque[HttpConnection]] = {}
        self._busy: dict[str, set[HttpConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = _NEVER  # when the timer fires

    async def request(
        self, address: str, request: ForwardRequest, server_id: str = ""
    ) -> ForwardResponse:
        """Send `request` to the server at `address`, which must be `server_id` if that is given.

        Raises QuorateError with the transport's text: reset, timed out; NotReached if no byte of
        the request has left, because there is no connection, or one to another server.
        """
        connection = await self._connection(address, server_id)
        request = self._fit_for(connection, request)
        if request.stream is not None:
            return await self._stream(address, connection, request, request.stream)
        waiter = self._exchange(connection, request)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.abandon(waiter)
            raise

    def at_once(self, address: str, request: ForwardRequest, server_id: str) -> OnItsWay | None:
        """`request` without a stream, if a connection is free now; else None: nothing was sent."""
        idle = self._idle.get((address, server_id))
        if not idle:
            return None
        connection = idle.pop()
        if (
            not connection.usable
            or (connection.peer is None and self._must_prove(connection))
            or (connection.last_used_by and connection.old())
        ):
            connection.close()
            return None
        sent = self._exchange(connection, self._fit_for(connection, request))
        return OnItsWay(sent, connection.abandon)

    def _fit_for(self, connection: HttpConnection, request: ForwardRequest) -> ForwardRequest:
        """The request; to a server that has proven nothing it goes without the caller's token."""
        if connection.peer is not None or self.trust is None:
            return request
        headers = tuple(each for each in request.headers if each[0] != _TOKEN)
        return replace(request, headers=headers, encoded={})

    def _exchange(
        self, connection: HttpConnection, request: ForwardRequest
    ) -> asyncio.Future[ForwardResponse]:
        address = connection.place[0]
        waiter = connection.exchange(request.encoded.get(address) or _encode(address, request))
        connection.timeout_s = request.timeout_s
        connection.to_member = request.to_member
        connection.late_at = late_at = connection.sent_at + request.timeout_s
        connection.busy.add(connection)
        if late_at < self._looks_at:
            self._look_at(late_at)
        return waiter

    # -- what becomes of requests (quorate.server.rpc.http_connection.Keeper) ----------------------

    def answered(
        self, connection: HttpConnection, response: ForwardResponse
    ) -> QuorateError | None:
        """The connection waits for its next request, if it can."""
        connection.busy.discard(connection)
        refusal = self._refusal(connection, response)
        if refusal is None:
            self._keep(connection)
        return refusal

    def failed(self, connection: HttpConnection) -> None:
        """It is of no more use."""
        connection.busy.discard(connection)

    def _take_refusal(self, connection: HttpConnection, response: ForwardResponse) -> None:
        if (refusal := self._refusal(connection, response)) is not None:
            raise refusal

    def _refusal(self, connection: HttpConnection, response: ForwardResponse) -> NotReached | None:
        """The error if the cluster's level has just risen: connections are proven now."""
        if response.status != _FORBIDDEN or not self._must_prove(connection, lately=True):
            return None
        connection.close()
        return NotReached(f"{connection.place[0]} takes no request without proof", "try again")

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
        busy = connection.busy
        busy.add(connection)
        connection.to_member = request.to_member
        connection.late_at = _NEVER  # of each piece, and of the head of the answer

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
            self._take_refusal(connection, response)
        except BaseException as error:
            closed(whole=False)
            if isinstance(error, TimeoutError):
                raise _late(address, request.timeout_s) from None
            raise
        return response

    def give_up(self, address: str, sent_before: float) -> None:
        """Wait no longer for answers to what was sent to `address` before that time of the loop.

        Who waits hears LeadershipLost: what was asked may or may not be carried out. What is for
        that server, leader or not, goes on.
        """
        for connection in tuple(self._busy.get(address, ())):
            if connection.sent_at < sent_before and not connection.to_member:
                connection.give_up(LeadershipLost())

    async def _connection(self, address: str, server_id: str) -> HttpConnection:
        idle = self._idle.get((address, server_id))
        while idle:
            connection = idle.pop()
            if connection.usable and not connection.old() and not self._must_prove(connection):
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
                if self.trust.tls is not None:
                    protocol.last_used_by = asyncio.get_running_loop().time() + TLS_USED_S
            else:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    _, protocol = await connect(HttpConnection, *host_and_port(address))
        except TimeoutError:
            why = unanswered(host_and_port(address)[0]) or "i/o timeout"
            raise NotReached(f"failed to get conn: dial tcp {address}: {why}") from None
        except NoProofError as error:
            raise ProvesNothing(f"{address} is not believed: {error}") from None
        except (OSError, ValueError, QuorateError) as error:
            reason = "connect: connection refused" if _refused(error) else str(error)
            raise NotReached(f"failed to get conn: dial tcp {address}: {reason}") from None
        protocol.place = (address, server_id)
        protocol.keeper = self
        protocol.busy = self._busy.setdefault(address, set())
        return protocol

    # -- time: one timer for all requests, set for the first one that may be late ------------------

    def _look_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        """Give up what is late, and look again when the next one may be."""
        self._timer, self._looks_at = None, _NEVER
        now = asyncio.get_running_loop().time()
        under_way = [connection for busy in self._busy.values() for connection in busy]
        for connection in under_way:
            if connection.late_at <= now:
                connection.give_up(_late(connection.place[0], connection.timeout_s))
        next_at = min((c.late_at for c in under_way if c.late_at > now), default=_NEVER)
        if next_at < _NEVER:
            self._look_at(next_at)

    def close(self) -> None:
        """End all idle connections."""
        if self._timer is not None and not any(self._busy.values()):
            self._timer.cancel()
            self._timer, self._looks_at = None, _NEVER
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


def _late(address: str, timeout_s: float) -> QuorateError:
    return QuorateError(f"no answer from {address} within {timeout_s:g} s", "try again")


def _encode(address: str, request: ForwardRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1\r\nHost: {address}\r\n".encode("latin-1")]
    lines += [b"%s: %s\r\n" % header for header in request.headers]
    if request.stream is not None:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif request.body or request.method in {"PUT", "POST"}:
        lines.append(b"Content-Length: %d\r\n" % len(request.body))
    lines.append(b"\r\n")
    lines.append(request.body)
    data = b"".join(lines)
    if request.stream is None and not request.body:
        if len(request.encoded) >= _ADDRESSES_MAX:
            request.encoded.clear()
        request.encoded[address] = data
    return data
