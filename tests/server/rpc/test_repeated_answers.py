"""An answer of another server that comes again with the same bytes is not parsed again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from quorate.errors import QuorateError
from quorate.server.rpc.forwarding import ForwardResponse
from quorate.server.rpc.http_connection import HttpConnection

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n" + bytes(8192)
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]"
OTHER = OK.replace(b"[]", b"{}")
BEGUN = b"HTTP/1.1 200 OK\r\nX-Nomad-Index: "

ANSWERS = (
    OK,
    OTHER,
    OK.replace(b"application/json", b"text/plain"),
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    CLOSES,
    LONG,
    OK + OTHER,
    OK + BEGUN,
    BEGUN,
    OK[:40],
    OK[40:],
    b"no answer",
)
Pieces = tuple[bytes, ...]


class Nowhere(asyncio.Transport):
    """A transport that loses everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def close(self) -> None:
        pass


def connected(connection: HttpConnection) -> HttpConnection:
    connection.connection_made(Nowhere())
    return connection


async def told(connection: HttpConnection, exchanges: list[Pieces]) -> list[object]:
    """What becomes of each request; one without an answer is the last one."""
    found: list[object] = []
    for pieces in exchanges:
        waiter = connection.exchange(b"")
        for piece in pieces:
            connection.data_received(piece)
        if not waiter.done():
            connection.give_up(QuorateError("no answer"))
        with suppress(QuorateError):
            answer = waiter.result()
            found.append((answer.status, answer.headers, answer.body, answer.stream))
        if waiter.exception() is not None:
            found.append(str(waiter.exception()))
        if not connection.usable:
            break
    return found


@st.composite
def pieces(draw: st.DrawFn) -> Pieces:
    """An answer, maybe with empty lines around it, whole or in two pieces."""
    empty = st.sampled_from((b"", b"", b"\r\n", b"\r\n\r\n"))
    data = draw(empty) + draw(st.sampled_from(ANSWERS)) + draw(empty)
    cut = draw(st.one_of(st.just(0), st.integers(0, min(len(data), 200))))
    return tuple(filter(None, (data[:cut], data[cut:])))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(pieces(), st.just((OK,))), min_size=2, max_size=8))
@example([(OK,), (OK + BEGUN,), (OK,), (OK,)])
@example([(OK + BEGUN,), (OK + BEGUN,)])
@example([(OK + OTHER,), (OK + OTHER,)])
@example([(BEGUN, OK), (OK,), (OK,)])
@example([(OK[:40], OK[40:]), (OK,), (OK,)])
def test_what_comes_again_is_read_like_the_first_time(exchanges: list[Pieces]) -> None:
    """What comes in two pieces goes the long way each time."""
    cut = [tuple(part for p in pieces for part in (p[:1], p[1:]) if part) for pieces in exchanges]

    async def both() -> tuple[list[object], list[object]]:
        short, long = connected(HttpConnection()), connected(HttpConnection())
        return await told(short, exchanges), await told(long, cut)

    short, long = asyncio.run(both())
    assert short == long


def test_the_same_bytes_are_the_same_answer() -> None:
    async def scenario() -> None:
        connection = connected(HttpConnection())

        async def answer(data: bytes) -> ForwardResponse:
            waiter = connection.exchange(b"")
            connection.data_received(data)
            return await waiter

        first = await answer(OK)
        assert await answer(OK) is first
        assert await answer(OK) is first
        assert (await answer(OTHER)).body == b"{}"
        assert (await answer(OK)).body == b"[]"

    asyncio.run(scenario())


def test_a_long_answer_is_not_kept() -> None:
    async def scenario() -> None:
        connection = connected(HttpConnection())
        answers = []
        for _ in range(2):
            waiter = connection.exchange(b"")
            connection.data_received(LONG)
            answers.append(await waiter)
        assert answers[0] is not answers[1]

    asyncio.run(scenario())


def test_an_answer_without_a_request_counts_for_nobody() -> None:
    async def scenario() -> None:
        connection = connected(HttpConnection())
        waiter = connection.exchange(b"")
        connection.data_received(OK)
        first = await waiter
        connection.data_received(OK)
        waiter = connection.exchange(b"")
        assert not waiter.done()
        connection.data_received(OK)
        assert await waiter == first

    asyncio.run(scenario())
