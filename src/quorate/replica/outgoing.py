"""Requests to one peer: two connections, each answered in order (raft-wire, sections 1 and 6).

Appends travel on one, everything else on the other, so that a heartbeat never waits behind a
large append or the peer's disk. A connection is made when first needed; when it ends, whatever
was unanswered on it fails, and the core decides what to send again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from quorate.errors import BadFrame
from quorate.raft.messages import AnyRequest, AnyResponse, AppendEntriesRequest
from quorate.wire.messages import encode_request, kind_of
from quorate.wire.stream import ResponseReader

RESPONSE_BYTES_MAX = 1 << 20

Answered = Callable[[int, AnyResponse], None]
Failed = Callable[[int, str], None]
Refused = Callable[[str, str], None]


class Connection(asyncio.Protocol):
    """One connection to a peer. `prefix` is what the port expects before the Raft stream.

    `refused(where, why)` is told of what a correct peer does not answer: bytes that are no
    answer, and error texts.
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
    ) -> None:
        self._host, self._port, self._prefix = host, port, prefix
        self._answered, self._failed, self._refused = answered, failed, refused
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._reader = ResponseReader(RESPONSE_BYTES_MAX)
        self._waiting: deque[tuple[int, AnyRequest]] = deque()
        self._unanswered: deque[tuple[int, float]] = deque()  # request number, sent at
        self._loop = asyncio.get_running_loop()
        self.connected_once = False

    def send(self, rpc_id: int, request: AnyRequest) -> None:
        """Send, or keep until the connection stands."""
        if self._transport is not None:
            self._write(rpc_id, request)
            return
        self._waiting.append((rpc_id, request))
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    def _write(self, rpc_id: int, request: AnyRequest) -> None:
        assert self._transport is not None
        self._reader.expect(kind_of(request))
        self._unanswered.append((rpc_id, self._loop.time()))
        self._transport.write(encode_request(request))

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._loop.create_connection(lambda: self, self._host, self._port)
        except (OSError, TimeoutError) as error:
            self._fail_all(f"dial tcp {self._host}:{self._port}: {error or 'i/o timeout'}")
        finally:
            self._connecting = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write what was waiting."""
        self._transport = stream = cast("asyncio.Transport", transport)
        self.connected_once = True
        self._reader = ResponseReader(RESPONSE_BYTES_MAX)
        if self._prefix:
            stream.write(self._prefix)
        while self._waiting:
            self._write(*self._waiting.popleft())

    def data_received(self, data: bytes) -> None:
        """Match answers with requests, in order."""
        try:
            answers = self._reader.feed(data)
        except BadFrame as error:
            self._refused(f"{self._host}:{self._port}", f"bad answer: {error}")
            self.close(f"bad answer: {error}")
            return
        for response, error_text in answers:
            rpc_id, _ = self._unanswered.popleft()
            if error_text or response is None:
                self._refused(f"{self._host}:{self._port}", f"it answers: {error_text}")
                self._failed(rpc_id, error_text or "no answer")
            else:
                self._answered(rpc_id, response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Everything unanswered has failed."""
        self._transport = None
        self._fail_all(str(exc) if exc else "EOF")

    def close(self, reason: str = "closed") -> None:
        """End the connection; what is unanswered fails with `reason`."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._fail_all(reason)

    def check(self, limit_s: float) -> None:
        """Close if the oldest unanswered request is older than `limit_s` seconds."""
        if self._unanswered and self._loop.time() - self._unanswered[0][1] > limit_s:
            self.close("i/o timeout")

    def _fail_all(self, reason: str) -> None:
        lost = [rpc_id for rpc_id, _ in self._unanswered] + [r for r, _ in self._waiting]
        self._unanswered.clear()
        self._waiting.clear()
        for rpc_id in lost:
            self._failed(rpc_id, reason)


class PeerLink:
    """Both connections to one peer at one address."""

    def __init__(
        self,
        address: str,
        prefix: bytes,
        *,
        answered: Answered,
        failed: Failed,
        refused: Refused,
    ) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self.address = address
        self._appends, self._control = (
            Connection(host, int(port), prefix, answered=answered, failed=failed, refused=refused)
            for _ in range(2)
        )

    def send(self, rpc_id: int, request: AnyRequest) -> None:
        """Send on the connection meant for this kind of request."""
        append = isinstance(request, AppendEntriesRequest) and not request.is_heartbeat
        (self._appends if append else self._control).send(rpc_id, request)

    def check(self, append_limit_s: float, control_limit_s: float) -> None:
        """Give up on answers that are overdue."""
        self._appends.check(append_limit_s)
        self._control.check(control_limit_s)

    def close(self) -> None:
        """End both connections."""
        self._appends.close()
        self._control.close()
