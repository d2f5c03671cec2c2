"""One HTTP connection that costs little: a request out, the time of the whole answer in."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

from bench.load import LoadFailed

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """Asks one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._answered: asyncio.Future[tuple[float, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[float, bytes]]:
        """Send it. Result: when the whole answer was there, and the answer."""
        assert self._transport is not None
        assert self.answered or self._answered is None, "one request at a time"
        self._held = b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    @property
    def answer(self) -> asyncio.Future[tuple[float, bytes]]:
        """That of the last request."""
        assert self._answered is not None
        return self._answered

    @property
    def answered(self) -> bool:
        """Whether the last request has its answer."""
        return self._answered is not None and self._answered.done()

    def data_received(self, data: bytes) -> None:
        """A part of the answer."""
        now = time.perf_counter()
        self._held += data
        head, end, body = self._held.partition(_END)
        if not end or self._answered is None or self._answered.done():
            return
        at = head.lower().find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n")[0]) if at >= 0 else 0
        if len(body) >= length:
            self._answered.set_result((now, self._held))

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more will come."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(LoadFailed(f"a connection broke: {error or 'closed'}"))

    def close(self) -> None:
        """Close it, and forget what has not been answered."""
        if self._answered is not None:
            self._answered.cancel()
        if self._transport is not None:
            self._transport.close()


async def connected(port: int) -> Connection:
    """A connection to a port of loopback."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


def get(target: str) -> bytes:
    """A GET."""
    return f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def put(target: str, value: Any) -> bytes:
    """A PUT of JSON."""
    body = json.dumps(value).encode()
    head = f"PUT {target} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def checked(answer: bytes) -> bytes:
    """The answer, if it is a success. Raises LoadFailed."""
    if not answer.startswith(b"HTTP/1.1 200"):
        raise LoadFailed(answer.decode(errors="replace")[:500])
    return answer
