"""Requests to another server: what happens when its answer never comes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from api_running import until
from net_servers import End

from quorate.errors import LeadershipLost, QuorateError
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.rpc.pieces import ByteStream


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes requests and never answers; its address."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it; errors that nobody fetched are failures."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unhandled.append(what))
        await scenario
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(watched())
    assert not unhandled


REQUEST = ForwardRequest(method="GET", target="/", timeout_s=5.0)


def test_what_a_former_leader_was_asked_is_given_up() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        loop = asyncio.get_running_loop()
        async with silent_server() as address:
            early = asyncio.create_task(pool.request(address, REQUEST))
            await asyncio.sleep(0.05)
            changed_at = loop.time()
            late = asyncio.create_task(pool.request(address, REQUEST))
            await asyncio.sleep(0.05)
            pool.give_up(address, changed_at)
            with pytest.raises(LeadershipLost):
                await early
            assert not late.done()
            late.cancel()
            await asyncio.wait((late,))
            pool.close()

    run(scenario())


def test_an_answer_that_comes_too_late_leaves_no_error_behind() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        async with silent_server() as address:
            request = ForwardRequest(method="GET", target="/", timeout_s=0.05)
            with pytest.raises(QuorateError, match="no answer"):
                await pool.request(address, request)
            pool.close()

    run(scenario())


# -- at once -------------------------------------------------------------------------------------


@asynccontextmanager
async def slow_server(answers: asyncio.Event, asked: list[int]) -> AsyncIterator[str]:
    """Answers when it may; notes the requests of each connection."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(asked)
        asked.append(0)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked[number] += 1
                await answers.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_only_over_a_connection_that_is_free_a_request_leaves_at_once() -> None:
    async def scenario() -> None:
        pool, answers, asked = HttpPool(), asyncio.Event(), list[int]()
        answers.set()
        async with slow_server(answers, asked) as address:
            assert pool.at_once(address, REQUEST, "s1") is None
            assert (await pool.request(address, REQUEST, "s1")).body == b"[]"
            assert pool.at_once(address, REQUEST, "s2") is None, "that is another server"
            first = pool.at_once(address, REQUEST, "s1")
            assert first is not None
            assert pool.at_once(address, REQUEST, "s1") is None, "one request at a time"
            assert (await first.answer).body == b"[]"
            second = pool.at_once(address, REQUEST, "s1")
            assert second is not None
            assert (await second.answer).body == b"[]"
            assert asked == [3]
            pool.close()

    run(scenario())


def test_what_is_for_a_server_goes_on_when_another_one_leads() -> None:
    async def scenario() -> None:
        pool, answers, asked = HttpPool(), asyncio.Event(), list[int]()
        named = ForwardRequest(method="GET", target="/", to_member=True)
        async with slow_server(answers, asked) as address:
            requests = (REQUEST, named)
            of_leader, of_server = (
                asyncio.ensure_future(pool.request(address, each)) for each in requests
            )
            await until(lambda: len(asked) == 2)
            pool.give_up(address, asyncio.get_running_loop().time() + 1)
            with pytest.raises(LeadershipLost):
                await of_leader
            answers.set()
            assert (await of_server).body == b"[]"
            pool.close()

    run(scenario())


def test_what_is_abandoned_takes_its_connection_along() -> None:
    async def scenario() -> None:
        pool, answers, asked = HttpPool(), asyncio.Event(), list[int]()
        answers.set()
        async with slow_server(answers, asked) as address:
            await pool.request(address, REQUEST)
            answers.clear()
            sent = pool.at_once(address, REQUEST, "")
            assert sent is not None
            sent.answer.cancel()
            sent.abandon(sent.answer)
            answers.set()
            assert pool.at_once(address, REQUEST, "") is None
            assert (await pool.request(address, REQUEST)).body == b"[]"
            assert len(asked) == 2
            pool.close()

    run(scenario())


def test_what_is_abandoned_too_late_costs_no_connection() -> None:
    """The answer came first, and the next request may be on its way already."""

    async def scenario() -> None:
        pool, answers, asked = HttpPool(), asyncio.Event(), list[int]()
        answers.set()
        async with slow_server(answers, asked) as address:
            await pool.request(address, REQUEST)
            sent = pool.at_once(address, REQUEST, "")
            assert sent is not None
            await sent.answer
            following = pool.at_once(address, REQUEST, "")
            assert following is not None
            sent.abandon(sent.answer)
            assert (await following.answer).body == b"[]"
            assert asked == [3]
            pool.close()

    run(scenario())


def test_each_request_has_its_own_time() -> None:
    """One timer serves them all; the last of them is not the one that is late first."""

    async def scenario() -> None:
        pool = HttpPool()
        loop = asyncio.get_running_loop()
        ended = list[tuple[float, float]]()

        async def ask(address: str, timeout_s: float) -> None:
            began = loop.time()
            with pytest.raises(QuorateError, match=f"no answer from .* within {timeout_s:g} s"):
                await pool.request(
                    address, ForwardRequest(method="GET", target="/", timeout_s=timeout_s)
                )
            ended.append((timeout_s, loop.time() - began))

        async with silent_server() as address:
            await asyncio.gather(*(ask(address, t) for t in (0.12, 0.04, 0.08, 0.04)))
            assert [timeout_s for timeout_s, _ in ended] == [0.04, 0.04, 0.08, 0.12]
            assert all(took >= timeout_s for timeout_s, took in ended)
            pool.close()

    run(scenario())


# -- streams -------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def nothing() -> AsyncGenerator[bytes, None]:
    """An empty body."""
    for piece in list[bytes]():
        yield piece


async def failing() -> AsyncGenerator[bytes, None]:
    """A body whose sender goes away."""
    yield b"some"
    raise QuorateError("the client is gone")


@asynccontextmanager
async def scripted_server(answer: bytes, connections: list[int]) -> AsyncIterator[str]:
    """Gives this answer to each request with a chunked body, and notes each connection."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"0\r\n\r\n"):
                connections[-1] += 1
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def streamed(body: ByteStream, timeout_s: float = 5.0) -> ForwardRequest:
    return ForwardRequest(method="PUT", target="/", stream=body, timeout_s=timeout_s)


async def body_of(response: ForwardResponse) -> bytes:
    assert response.stream is not None
    return b"".join([piece async for piece in response.stream])


def test_a_connection_is_kept_when_both_streams_came_to_their_end() -> None:
    async def scenario() -> None:
        pool, connections = HttpPool(), list[int]()
        async with scripted_server(HEAD + b"3\r\nabc\r\n0\r\n\r\n", connections) as address:
            for _ in range(3):
                assert await body_of(await pool.request(address, streamed(nothing()))) == b"abc"
            assert connections == [3]
            left = await pool.request(address, streamed(nothing()))
            assert left.stream is not None
            await left.stream.aclose()  # before its end
            assert await body_of(await pool.request(address, streamed(nothing()))) == b"abc"
            pool.close()

    run(scenario())


def test_an_answer_that_stops_halfway_is_given_up() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        async with scripted_server(HEAD + b"3\r\nabc\r\n", []) as address:
            answer = await pool.request(address, streamed(nothing(), timeout_s=0.1))
            with pytest.raises(QuorateError, match=r"the body stopped for 0.1 s"):
                await body_of(answer)

    run(scenario())


def test_a_stream_without_an_answer_is_given_up() -> None:
    async def scenario() -> None:
        async with silent_server() as address:
            with pytest.raises(QuorateError, match=r"no answer from .* within 0.1 s"):
                await HttpPool().request(address, streamed(nothing(), timeout_s=0.1))

    run(scenario())


def test_what_ends_the_body_ends_the_request() -> None:
    async def scenario() -> None:
        async with silent_server() as address:
            with pytest.raises(QuorateError, match="the client is gone"):
                await HttpPool().request(address, streamed(failing()))

    run(scenario())


def test_a_stream_of_a_former_leader_ends_with_that_reason() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        async with scripted_server(HEAD + b"3\r\nabc\r\n", []) as address:
            answer = await pool.request(address, streamed(nothing()))
            pool.give_up(address, asyncio.get_running_loop().time() + 1)
            with pytest.raises(LeadershipLost):
                await body_of(answer)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"y" * 1000) * 100, "a head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "a body"),
    ],
)
def test_an_answer_has_a_largest_head_and_body(answer: bytes, what: str) -> None:
    """A stranger that is named in gossip may answer without end."""

    ended = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(answer)
            while what == "a body" and not writer.is_closing():
                writer.write(bytes(1 << 16))
                await writer.drain()
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async def scenario() -> None:
        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        async with server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            pool = HttpPool()
            with pytest.raises(QuorateError, match=f"the answer has {what} of more than"):
                await pool.request(address, REQUEST)
            await asyncio.wait_for(ended.wait(), 10)
            pool.close()

    run(scenario())


def test_a_server_that_proves_nothing_does_not_get_the_token() -> None:
    """While a cluster is of feature level 0 its servers prove nothing."""

    async def scenario() -> None:
        got = asyncio.get_running_loop().create_future()

        async def first_version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.readexactly(1)
            if first == b"G":
                got.set_result(first + await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
            writer.close()

        old = await asyncio.start_server(first_version, "127.0.0.1", 0)
        async with old:
            place = "{}:{}".format(*old.sockets[0].getsockname()[:2])
            pool = HttpPool(End("a", lenient=True).trust)
            headers = ((b"accept", b"*/*"), (b"x-nomad-token", b"secret"))
            request = ForwardRequest(method="GET", target="/x", headers=headers, timeout_s=5.0)
            answer = await pool.request(place, request)
            pool.close()
        assert answer.body == b"ok"
        sent = await got
        assert b"accept: */*" in sent
        assert b"secret" not in sent

    run(scenario())
