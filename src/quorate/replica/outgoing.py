"""Requests to one peer: two connections, each answered in order.

See docs/wire.md#framing and #connections.

Appends travel on one, everything else on the other, so that a heartbeat never waits behind a
large append or the peer's disk. A connection is made when first needed; when it ends, whatever
was unanswered on it fails, and the core decides what to send again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from quorate.errors import BadFrame, QuorateError
from quorate.net.dial import dial
from quorate.net.names import connect
from quorate.net.trust import Trust
from quorate.raft.values.configuration import Server
from quorate.raft.values.messages import AnyRequest, AnyResponse, AppendEntriesRequest
from quorate.raft.values.validity import address_objection, split_address
from quorate.wire.raft.messages import encode_request, kind_of
from quorate.wire.raft.stream import ResponseReader

RESPONSE_BYTES_MAX = 1 << 20

Answered = Callable[[int, AnyResponse], None]
Failed = Callable[[int, str], None]
Refused = Callable[[str, str], None]
Encode = Callable[[AnyRequest], bytes]


class _Stream(asyncio.Protocol):
    """One TCP connection to the peer. It says nothing more once its owner has given it up."""

    def __init__(self, owner: Connection) -> None:
        self.owner: Connection | None = owner
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Too late if it was given up meanwhile."""
        self.transport = cast("asyncio.Transport", transport)
        if self.owner is None:
            self.transport.abort()
        else:
            self.owner.stands()

    def data_received(self, data: bytes) -> None:
        """Answers."""
        if self.owner is not None:
            self.owner.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """By the other side, or by its death."""
        if self.owner is not None:
            self.owner.close(str(exc) if exc else "EOF")


class Connection:
    """One connection to a peer. `prefix` is what the port expects before the Raft stream.

    `refused(where, why)` is told of what a correct peer does not answer: bytes that are no
    answer, and error texts. With `trust` nothing is sent before the peer has proven that it is the
    server `peer_id`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        prefix: bytes,
        *,
        answered: Answered,
        failed: Failed,
        refused: Refused,
        trust: Trust | None = None,
        peer_id: str = "",
        encode: Encode = encode_request,
    ) -> None:
        self._host, self._port, self._prefix = host, port, prefix
        self._encode = encode
        self._trust, self._peer_id = trust, peer_id
        self._answered, self._failed, self._refused = answered, failed, refused
        self._stream: _Stream | None = None  # made when first needed, and after each end
        self._connecting: asyncio.Task[None] | None = None
        self._reader = ResponseReader(RESPONSE_BYTES_MAX)
        self._waiting: deque[tuple[int, AnyRequest]] = deque()
        self._unanswered: deque[tuple[int, float]] = deque()  # request number, sent at
        self._loop = asyncio.get_running_loop()

    def send(self, rpc_id: int, request: AnyRequest) -> None:
        """Send, or keep until the connection stands."""
        stream = self._stream
        if stream is not None and stream.transport is not None:
            self._write(stream.transport, rpc_id, request)
            return
        self._waiting.append((rpc_id, request))
        if stream is None:
            self._stream = stream = _Stream(self)
            self._reader = ResponseReader(RESPONSE_BYTES_MAX)
            self._connecting = self._loop.create_task(self._connect(stream))

    def _write(self, transport: asyncio.Transport, rpc_id: int, request: AnyRequest) -> None:
        self._reader.expect(kind_of(request))
        self._unanswered.append((rpc_id, self._loop.time()))
        try:
            transport.write(self._encode(request))
        except RuntimeError as error:
            # uvloop, of a connection that it has closed and not yet told us of.
            self.close(str(error))

    async def _connect(self, stream: _Stream) -> None:
        place = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{place}:{self._port}"
        try:
            if self._trust is not None:
                await dial(place, lambda: stream, self._trust, server_id=self._peer_id)
                return
            async with asyncio.timeout(2.0):
                await connect(lambda: stream, self._host, self._port)
        except (OSError, TimeoutError, QuorateError) as error:
            if stream.owner is not None:
                if isinstance(error, QuorateError):
                    self._refused(place, error.text)
                self._connecting = None
                self.close(f"dial tcp {place}: {str(error) or 'i/o timeout'}")

    def stands(self) -> None:
        """Write what was waiting."""
        assert self._stream is not None
        assert self._stream.transport is not None
        transport = self._stream.transport
        if self._prefix:
            transport.write(self._prefix)
        while self._waiting:
            self._write(transport, *self._waiting.popleft())

    def received(self, data: bytes) -> None:
        """Match answers with requests, in order."""
        try:
            answers = self._reader.feed(data)
        except BadFrame as error:
            self._refused(f"{self._host}:{self._port}", f"bad answer: {error}")
            self.close(f"bad answer: {error}")
            return
        for response, error_text in answers:
            if not self._unanswered:
                return  # closed by what an answer led to: all the others have failed
            rpc_id, _ = self._unanswered.popleft()
            if error_text or response is None:
                self._refused(f"{self._host}:{self._port}", f"it answers: {error_text}")
                self._failed(rpc_id, error_text or "no answer")
            else:
                self._answered(rpc_id, response)

    def close(self, reason: str = "closed") -> None:
        """End the connection, or the attempt; what is unanswered fails with `reason`."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.owner = None
            if stream.transport is not None:
                stream.transport.abort()
            elif self._connecting is not None:
                self._connecting.cancel()
        self._connecting = None
        lost = [rpc_id for rpc_id, _ in self._unanswered] + [r for r, _ in self._waiting]
        self._unanswered.clear()
        self._waiting.clear()
        for rpc_id in lost:
            self._failed(rpc_id, reason)

    def check(self, limit_s: float) -> None:
        """Close if the oldest unanswered request is older than `limit_s` seconds."""
        if self._unanswered and self._loop.time() - self._unanswered[0][1] > limit_s:
            self.close("i/o timeout")


class PeerLink:
    """Both connections to one peer at one address.

    An old log may hold what is no address: then each request fails, as with a server that is down.
    """

    def __init__(
        self,
        address: str,
        prefix: bytes,
        *,
        answered: Answered,
        failed: Failed,
        refused: Refused,
        trust: Trust | None = None,
        peer_id: str = "",
        encode: Encode = encode_request,
    ) -> None:
        self.address = address
        self.located: Server | None = None
        """The member that was looked for when this was made or last found right."""
        self.look_again_at = 0.0
        self._failed = failed
        place = split_address(address)
        self._connections = tuple(
            Connection(
                *(*place, prefix),
                answered=answered,
                failed=failed,
                refused=refused,
                trust=trust,
                peer_id=peer_id,
                encode=encode,
            )
            for _ in range(2)
            if place is not None
        )

    def send(self, rpc_id: int, request: AnyRequest) -> None:
        """Send on the connection meant for this kind of request."""
        if not self._connections:
            self._failed(rpc_id, f"{address_objection(self.address)}: remove this server")
            return
        append = isinstance(request, AppendEntriesRequest) and not request.is_heartbeat
        appends, control = self._connections
        (appends if append else control).send(rpc_id, request)

    def check(self, append_limit_s: float, control_limit_s: float) -> None:
        """Give up on answers that are overdue."""
        limits = (append_limit_s, control_limit_s)
        for connection, limit_s in zip(self._connections, limits, strict=False):
            connection.check(limit_s)

    def close(self) -> None:
        """End both connections."""
        for connection in self._connections:
            connection.close()
