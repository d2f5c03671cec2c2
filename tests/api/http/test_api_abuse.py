"""Clients that send garbage, too much, too slowly, or do not read: bounded, and told why."""

from __future__ import annotations

import asyncio
import time

import pytest
from api_running import asynchronous, until
from api_server import RawClient, Served, connected, get, message, serving
from fake_server import FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st
from stopwatch import Stopwatch

from quorate.api.http import turns
from quorate.api.http.limits import ConnectionLimiter
from quorate.api.http.protocol import QuorateHttpProtocol

LEADER = "/v1/status/leader"
AUTOPILOT = "/v1/operator/autopilot/configuration"
LIMIT = 64 * 1024  # of the body of a PUT there


async def refused(client: RawClient, status: int, text: str) -> None:
    """The next answer is this refusal, on one line, and then the connection ends."""
    answer = await client.answer()
    assert answer.status == status
    assert text in answer.body.decode()
    assert b"\n" not in answer.body
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["connection"] == "close"
    assert await client.closed() == b""


# -- garbage -------------------------------------------------------------------------------------

GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    b"\x00" * 100,
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"NOSUCH / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"GET /\x80\xff HTTP/1.1\n\n",
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:30]))
@pytest.mark.parametrize("before", [b"", get(LEADER)], ids=["at first", "later"])
@asynchronous
async def test_garbage_is_refused(
    data: bytes, before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that stops for 3 ms would leave the request for a later turn, and garbage behind an
    # unanswered one ends the connection (the next test).
    monkeypatch.setattr(turns, "WORK_S", 60.0)
    monkeypatch.setattr(turns, "TURN_S", 60.0)
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(before + data)
        if before:
            assert (await client.answer()).status == 200
        await refused(client, 400, "not a valid HTTP/1.1 request")


@asynchronous
async def test_garbage_behind_an_unanswered_request_ends_the_connection() -> None:
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(get("/v1/namespaces?index=1&wait=5m") + b"\x00")
        assert await client.closed() == b""


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_no_bytes_bring_the_server_down(data: bytes) -> None:
    @asynchronous
    async def test() -> None:
        async with serving(FakeServer().application()) as served:
            async with connected(served.port) as client:
                client.send(data)
                client.writer.write_eof()
                await client.closed()
            async with connected(served.port) as client:
                assert (await client.get(LEADER)).status == 200

    test()


# -- too much ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-{number}: {'y' * 100}" for number in range(1200)],
        ["X-Long: " + "y" * 120_000],
        ["X" * 120_000 + ": y"],
    ],
    ids=["many", "a long value", "a long name"],
)
@asynchronous
async def test_heads_over_the_limit_are_refused(headers: list[str]) -> None:
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(get(LEADER, *headers))
        await refused(client, 431, "over the limit of 65536 bytes")


@asynchronous
async def test_a_head_below_the_limit_is_read() -> None:
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(get(LEADER, "X-Long: " + "y" * 40_000))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("ahead", [b"", get("/v1/namespaces?index=1&wait=10ms")])
@asynchronous
async def test_a_long_target_is_refused_and_the_connection_goes_on(ahead: bytes) -> None:
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(ahead + get(f"{LEADER}?x={'y' * 9000}") + get(LEADER))
        if ahead:
            assert (await client.answer()).status == 200
        answer = await client.answer()
        assert (answer.status, answer.body) == (414, b"the URL is over the limit of 8192 bytes")
        assert (await client.answer()).status == 200


@asynchronous
async def test_a_body_at_the_limit_is_read_and_one_over_it_refused() -> None:
    async with serving(FakeServer().application()) as served:
        async with connected(served.port) as client:
            client.send(message("PUT", AUTOPILOT, body=b"{}".ljust(LIMIT)))
            assert (await client.answer()).body == b"true"
            client.send(message("PUT", AUTOPILOT, body=b"{}".ljust(LIMIT + 1)))
            await refused(client, 413, "over the limit of 65536 bytes")
        async with connected(served.port) as client:
            client.send(message("PUT", AUTOPILOT, f"Content-Length: {10**30}"))
            await client.closed()


@asynchronous
async def test_a_chunked_body_over_the_limit_is_refused() -> None:
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    async with serving(FakeServer().application()) as served:
        async with connected(served.port) as client:
            client.send(message("PUT", AUTOPILOT, "Transfer-Encoding: chunked"))
            client.send(chunk * 17 + b"0\r\n\r\n")
            answer = await client.answer()
            assert answer.status == 413
            assert (await client.get(LEADER)).status == 200
        async with connected(served.port) as client:
            client.send(message("PUT", AUTOPILOT, "Transfer-Encoding: chunked") + chunk * 257)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (413, "close")


# -- too slowly ----------------------------------------------------------------------------------


@asynchronous
async def test_a_head_that_trickles_in_is_cut_off() -> None:
    async with (
        serving(FakeServer().application(), head_timeout_s=0.3) as served,
        connected(served.port) as client,
    ):
        started, watch = time.monotonic(), Stopwatch()
        client.send(b"GET / HTTP/1.1\r\n")

        async def trickle() -> None:
            while True:
                client.send(b"X: y\r\n")
                await asyncio.sleep(0.02)

        task = asyncio.ensure_future(trickle())
        await refused(client, 408, "a head took too long to arrive")
        task.cancel()
        assert time.monotonic() - started > 0.25
        assert watch.seconds() < 3


@asynchronous
async def test_a_body_that_does_not_come_is_cut_off() -> None:
    async with (
        serving(FakeServer().application(), body_timeout_s=0.1) as served,
        connected(served.port) as client,
    ):
        assert (await client.get(LEADER)).status == 200
        client.send(message("PUT", AUTOPILOT, "Content-Length: 5") + b"{")
        await refused(client, 408, "a body took too long to arrive")


@pytest.mark.parametrize("first", [b"", get(LEADER)], ids=["new", "used"])
@asynchronous
async def test_an_idle_connection_is_closed_without_a_word(first: bytes) -> None:
    async with (
        serving(FakeServer().application(), idle_timeout_s=0.15) as served,
        connected(served.port) as client,
    ):
        if first:
            client.send(first)
            await client.answer()
        assert await client.closed() == b""


@asynchronous
async def test_who_is_kept_waiting_by_us_is_not_idle() -> None:
    async with (
        serving(FakeServer().application(), idle_timeout_s=0.05) as served,
        connected(served.port) as client,
    ):
        assert (await client.get("/v1/namespaces?index=1&wait=300ms")).status == 200
        assert await client.closed() == b""


# -- clients that do not read --------------------------------------------------------------------


def connection_of(served: Served) -> QuorateHttpProtocol | None:
    """The server's side of the only connection, or None before it is made."""
    connections = list(served.listener._shared.state.connections)
    if not connections:
        return None
    (protocol,) = connections
    assert isinstance(protocol, QuorateHttpProtocol)
    return protocol


@asynchronous
async def test_who_does_not_read_is_not_read_from() -> None:
    service = FakeServer()
    count = 30_000
    async with serving(service.application()) as served, connected(served.port) as client:
        client.stop_reading()
        client.send(get("/v1/operator/raft/configuration") * count)
        await until(lambda: (side := connection_of(served)) is not None and side.flow.write_paused)
        protocol = connection_of(served)
        assert protocol is not None
        await asyncio.sleep(0.1)
        assert protocol.transport.get_write_buffer_size() < 2**20
        assert sum(map(len, protocol._put_aside)) < 2**20
        client.read_on()
        await client.same_answers(count)


@asynchronous
async def test_no_more_is_read_while_requests_wait_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request takes the long way, on which uvicorn resumes reading at each of them."""
    monkeypatch.setattr("quorate.api.http.turns.WORK_S", -1.0)
    count = 30_000
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(get(LEADER) * count)
        await until(lambda: connection_of(served) is not None)
        answers = asyncio.ensure_future(client.same_answers(count))
        most = 0
        while not answers.done():
            protocol = connection_of(served)
            assert protocol is not None
            most = max(most, sum(map(len, protocol._put_aside)))
            await asyncio.sleep(0.005)
        await answers
        assert 0 < most < 2**19


@asynchronous
async def test_who_never_reads_is_cut_off() -> None:
    service = FakeServer()
    async with (
        serving(service.application(), write_timeout_s=0.1) as served,
        connected(served.port) as client,
    ):
        client.stop_reading()
        client.send(get("/v1/operator/raft/configuration") * 30_000)
        await until(lambda: served.listener.connections == 1)
        await until(lambda: served.listener.connections == 0)


@asynchronous
async def test_requests_ahead_of_an_unfinished_one_are_bounded() -> None:
    async with serving(FakeServer().application()) as served, connected(served.port) as client:
        client.send(get("/v1/namespaces?index=1&wait=200ms") + get(LEADER) * 5_000)
        await until(lambda: (side := connection_of(served)) is not None and bool(side.pipeline))
        protocol = connection_of(served)
        assert protocol is not None
        await asyncio.sleep(0.05)
        assert len(protocol.pipeline) < 1000
        assert sum(map(len, protocol._put_aside)) < 2**20
        assert (await client.answer()).status == 200
        await client.same_answers(5_000)


# -- too many connections ------------------------------------------------------------------------


@asynchronous
async def test_one_connection_too_many_is_told_so() -> None:
    """The form of 2.0; the captured case `misc-connection-limit` was closed without an answer."""
    async with serving(FakeServer().application(), max_conns_per_client=2) as served:
        async with connected(served.port) as first, connected(served.port) as second:
            assert (await first.get(LEADER)).status == 200
            assert (await second.get(LEADER)).status == 200
            async with connected(served.port) as third:
                answer = await third.answer()
                assert answer.status == 429
                assert answer.headers == {"content-type": "text/plain", "connection": "close"}
                assert answer.body == (
                    b"Your IP is issuing too many concurrent connections, "
                    b"please rate limit your calls\n"
                )
        await until(lambda: served.listener.connections == 0)
        async with connected(served.port) as again:
            assert (await again.get(LEADER)).status == 200


@asynchronous
async def test_only_ten_in_a_second_are_told() -> None:
    async with (
        serving(FakeServer().application(), max_conns_per_client=1) as served,
        connected(served.port) as first,
    ):
        assert (await first.get(LEADER)).status == 200
        told = 0
        for _ in range(30):
            async with connected(served.port) as client:
                told += bool(await client.closed())
        assert 10 <= told <= 20


def test_the_limiter_forgets_addresses_without_connections() -> None:
    now = [0.0]
    limiter = ConnectionLimiter(1, lambda: now[0])
    assert limiter.admit("a")
    assert not limiter.admit("a")
    assert limiter.admit("b")
    limiter.release("a")
    limiter.release("b")
    assert limiter._counts == {}
    assert [limiter.may_tell() for _ in range(11)] == [True] * 10 + [False]
    now[0] = 1.0
    assert limiter.may_tell()


def test_no_limit() -> None:
    limiter = ConnectionLimiter(0, lambda: 0.0)
    assert all(limiter.admit("a") for _ in range(1000))
