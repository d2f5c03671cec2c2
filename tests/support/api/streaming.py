"""Endpoints that stream, which only tests have, and a follower that forwards over a real port."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from fake_server import NOW, FakeServer

from quorate.acl.capability import Capability
from quorate.api.app import HttpApplication
from quorate.api.codec.encode import text_response
from quorate.api.endpoint import Consistency, Context, Endpoint, Forwarding
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import Call, Response, StreamResponse
from quorate.api.request_error import RequestError
from quorate.errors import NotLeader
from quorate.metrics import Metrics
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.http_pool import HttpPool

PIECE: Final = 64 * 1024
UP_MAX: Final = 256 * 1024 * 1024


class Seen:
    """What the handlers have done."""

    def __init__(self) -> None:
        self.produced = 0
        self.consumed = 0
        self.ended: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()


class StreamEndpoint:
    """Bodies of any size, in both directions."""

    def __init__(self, context: Context) -> None:
        self._authority = context.authority
        self.seen: Seen = getattr(context.parts.agent, "seen", None) or Seen()

    def down(self, call: Call) -> Response | Awaitable[Response]:
        """As many bytes as asked for, from the leader; `length` says in the head how many."""
        return self._authority.read(call, self._down)

    def _down(self, call: Call) -> Response:
        size = int(call.query.first("bytes"))
        length = size if "length" in call.query.values else None
        pieces = self._ended("down", self._produce(size, fails="fails" in call.query.values))
        return StreamResponse(200, pieces, length=length)

    async def _produce(self, size: int, *, fails: bool) -> AsyncGenerator[bytes, None]:
        for start in range(0, size, PIECE):
            if fails and start:
                raise OSError("the disk is gone")
            piece = bytes([start // PIECE % 251]) * min(PIECE, size - start)
            self.seen.produced += len(piece)
            yield piece

    def events(self, _: Call) -> Response:
        """One line, and then nothing for ever."""
        return StreamResponse(200, self._ended("events", self._lines()))

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        yield b"{}\n"
        await asyncio.Event().wait()

    async def _ended(
        self, name: str, pieces: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            self.seen.ended.append(name)

    def up(self, call: Call) -> Awaitable[Response]:
        """Size and digest of the body, from the leader."""
        return self._authority.write(call, lambda: self._up(call))

    async def _up(self, call: Call) -> Response:
        if "refuse" in call.query.values:
            raise RequestError("not this one", 409)
        if "fail" in call.query.values:
            return text_response(500, "it failed")
        digest = hashlib.sha256()
        assert call.request.stream is not None
        try:
            async for piece in call.request.stream:
                self.seen.consumed += len(piece)
                digest.update(piece)
                await self.seen.gate.wait()
        except RequestError as error:
            self.seen.ended.append(error.text)
            raise
        if "lost" in call.query.values:
            raise NotLeader  # found out when the body was read, and nothing begun
        return text_response(200, f"{self.seen.consumed} {digest.hexdigest()}")

    def echo(self, call: Call) -> Response:
        """The body, while it comes."""
        assert call.request.stream is not None
        return StreamResponse(200, call.request.stream)


def _row(path: str, method: str, handler: Callable[[Any, Call], Any], forwarded: bool) -> Endpoint:
    return Endpoint(
        path=path,
        methods=(method,),
        made_of=StreamEndpoint,
        handler=handler,
        capability=Capability.NONE,
        consistency=Consistency.LINEARIZABLE if forwarded else Consistency.LOCAL,
        forwarding=Forwarding.LEADER if forwarded else Forwarding.NONE,
        body_max=UP_MAX,
        streams=True,
        does="a test",
    )


STREAMS: Final = (
    *TABLE,
    _row("/v1/test/down", "GET", StreamEndpoint.down, forwarded=True),
    _row("/v1/test/up", "PUT", StreamEndpoint.up, forwarded=True),
    _row("/v1/test/events", "GET", StreamEndpoint.events, forwarded=False),
    _row("/v1/test/echo", "PUT", StreamEndpoint.echo, forwarded=False),
)


class StreamServer(FakeServer):
    """A server with these endpoints; a follower asks the leader at `leader_port`."""

    def __init__(self, role: str = "leader", leader_port: int = 0) -> None:
        super().__init__(role=role)
        self.seen = Seen()
        self.http = HttpPool()
        self.leader_port = leader_port

    def application(
        self, metrics: Metrics | None = None, seed: int = 1, *, control: bool = False
    ) -> HttpApplication:
        del control
        return HttpApplication(
            self.parts(), metrics or Metrics(), lambda: NOW, Random(seed), STREAMS
        )

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        return await self.http.request(f"127.0.0.1:{self.leader_port}", request)


def resident_bytes() -> int:
    """What this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def produced_digest(size: int) -> str:
    """The digest of what `down` gives."""
    digest = hashlib.sha256()
    for start in range(0, size, PIECE):
        digest.update(bytes([start // PIECE % 251]) * min(PIECE, size - start))
    return digest.hexdigest()
