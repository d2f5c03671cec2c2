"""Decoders inside connections: HTTP, forwarded answers, calls between servers, and replicas."""

from __future__ import annotations

import asyncio
import gc
from functools import cache
from typing import Any, ClassVar

from fake_server import FakeServer

from quorate.api.http.listener import HttpListener, ListenerConfig, create_protocol_factory
from quorate.errors import QuorateError
from quorate.net.calls import (
    FRAME_BYTES_MAX,
    CallConnection,
    read_answer,
    read_argument,
    write_answer,
)
from quorate.net.peer import Peer
from quorate.raft.values.identity import IdentityRecord
from quorate.replica.meeting import Ask, Introduction, Joined, Joining, Proposal, Verdict
from quorate.server.cluster.founding import Promise
from quorate.server.cluster.identity import Greeting
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.rpc.answers import Answers
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.http_connection import HttpConnection
from quorate.server.rpc.http_pool import HttpPool


class Wire(asyncio.Transport):
    """A transport to nobody, which keeps what was written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_protocol(self) -> Any:
        return None

    def set_protocol(self, protocol: Any) -> None:
        pass


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

    def unhandled(_: object, context: dict[str, Any]) -> None:
        raised.append(context.get("exception") or AssertionError(context["message"]))

    loop.set_exception_handler(unhandled)
    return loop


raised: list[BaseException] = []


@cache
def _listener() -> HttpListener:
    async def make() -> HttpListener:
        return create_protocol_factory(FakeServer().application(), ListenerConfig())

    return _loop().run_until_complete(make())


async def _talk(listener: HttpListener, data: bytes) -> bytes:
    protocol: Any = listener()
    wire = Wire()
    protocol.connection_made(wire)
    size = 1 + data[0] if data else 1
    for start in range(1, len(data), size):
        if not wire.closing:
            protocol.data_received(data[start : start + size])
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    return wire.written


def http_request(data: bytes) -> None:
    """One connection; the first byte says how the others are cut. Whatever comes is answered."""
    written = _loop().run_until_complete(_talk(_listener(), data))
    assert not written or written.startswith(b"HTTP/1.1 ")
    assert b"Traceback" not in written
    assert b"internal error" not in written
    if raised:
        raise raised.pop()


def http_answer(data: bytes) -> None:
    """What another server answers to a forwarded request."""

    async def exchange() -> None:
        connection = HttpConnection()
        connection.connection_made(Wire())
        waiter = connection.exchange(b"GET / HTTP/1.1\r\n\r\n")
        connection.data_received(data)
        connection.connection_lost(None)
        if not waiter.cancelled():
            waiter.result()

    _loop().run_until_complete(exchange())


class _Open:
    """A gate that is open to all."""

    def check(self, verb: str, peer: object) -> None:
        del verb, peer


async def _echo(_: Answers, argument: object, __: object) -> object:
    return argument


class _Echo(Answers):
    """Takes every call apart, and does nothing."""

    def __init__(self) -> None:
        self._gate = _Open()  # type: ignore[assignment]

    _verbs: ClassVar[dict[str, tuple[Any, Any]]] = {
        verb: (argument_type, _echo) for verb, (argument_type, _) in Answers._verbs.items()
    }


class _Answers(HttpPool):
    """A pool in which every server answers the same."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    async def request(
        self, address: str, request: ForwardRequest, server_id: str = ""
    ) -> ForwardResponse:
        del address, request, server_id
        return ForwardResponse(status=200, headers=(), body=self._body)


def server_call(data: bytes) -> None:
    """As the argument of each verb, and as the answer to each."""
    errors = []

    async def call() -> None:
        for verb in _Echo._verbs:
            try:
                await _Echo().answer(verb, data, None)
            except Exception as error:  # noqa: BLE001  judged by who called us
                errors.append(error)
        for kind in (Greeting, JoinAnswer, Promise):
            try:
                await Callers(_Answers(data), lambda: 0).call("a:1", "x", None, kind)
            except Exception as error:  # noqa: BLE001  likewise
                errors.append(error)

    _loop().run_until_complete(call())
    for error in errors:
        raise error


_CALLER = Peer(record=IdentityRecord(server_id="a"), region="", address="a:1", key=bytes(32))


async def _read_argument(verb: str, argument: bytes, peer: Peer) -> bytes:
    """As a replica answers, without what it does."""
    assert peer is _CALLER
    return write_answer(read_argument(argument, ARGUMENTS[len(verb) % len(ARGUMENTS)]))


ARGUMENTS = (Ask, Proposal, Joining)


def replica_call(data: bytes) -> None:
    """A call as the connection sees it, cut by the first byte; and as the answer to each verb."""
    size = 1 + data[0] if data else 1

    async def exchange() -> bytes:
        wire = Wire()
        connection = CallConnection(_CALLER, _read_argument)
        connection.connection_made(wire)
        for start in range(1, len(data), size):
            connection.data_received(data[start : start + size])
        for _ in range(5):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.sleep(0)
        return wire.written

    written = _loop().run_until_complete(exchange())
    gc.collect(0)  # an exception that nobody took is told then
    if raised:
        raise raised.pop()
    assert len(written) <= 4 + FRAME_BYTES_MAX
    failed: list[Exception] = []
    for kind in (Introduction, Verdict, Joined):
        try:
            read_answer(data[5:], "a:1", "who", kind)
        except Exception as error:  # noqa: BLE001  judged by who called us
            failed.append(error)
    if failed:
        raise next((each for each in failed if not isinstance(each, QuorateError)), failed[0])
