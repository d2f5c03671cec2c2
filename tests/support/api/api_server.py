"""The application on a real port, and a client that sees every byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec

from quorate.api.app import HttpApplication
from quorate.api.http.listener import HttpListener, ListenerConfig, create_protocol_factory
from quorate.api.http.sites import Sites


class Served(msgspec.Struct, frozen=True):
    """A listener on a port of loopback."""

    port: int
    listener: HttpListener

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(
    application: HttpApplication, sites: Sites | None = None, **limits: Any
) -> AsyncIterator[Served]:
    """Serve the application with these limits of `ListenerConfig`, for the time of the block."""
    listener = create_protocol_factory(application, ListenerConfig(**limits), sites)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(listener, "127.0.0.1", 0)
    try:
        yield Served(server.sockets[0].getsockname()[1], listener)
    finally:
        server.close()
        await listener.close(grace_s=0.0)


class Answer(msgspec.Struct, frozen=True):
    """One response as it came over the wire. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def stop_reading(self) -> None:
        """Let what the server writes pile up."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        """Take it after all."""
        self._transport.resume_reading()

    async def answer(self, *, head: bool = False) -> Answer:
        """The next response; one to HEAD has no body whatever its length says."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers: dict[str, str] = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        if head or status in {100, 204}:
            return Answer(status, headers, b"")
        return Answer(status, headers, await self._body(headers))

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        return await self.reader.read()

    async def same_answers(self, count: int) -> None:
        """Read `count` responses that are the same but for the case of header names."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        one = head + (await self.reader.readexactly(length)).lower()
        assert one.startswith(b"http/1.1 200 ok\r\n")
        rest = await self.reader.readexactly(len(one) * (count - 1))
        assert rest.lower() == one * (count - 1)

    async def get(self, target: str) -> Answer:
        """Ask and wait."""
        self.send(get(target))
        return await self.answer()

    async def closed(self) -> bytes:
        """What still comes before the server closes."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


def get(target: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    return message("GET", target, *headers)


def message(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of a request. A length is added if there is a body."""
    length = (f"Content-Length: {len(body)}",) if body else ()
    lines = (f"{method} {target} HTTP/1.1", "Host: localhost", *headers, *length, "", "")
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    """A client connected to the port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
