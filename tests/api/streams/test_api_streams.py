"""Bodies in pieces: any size in little memory, as fast as the slower side, ended with the client.

STREAM_BYTES=209715200 runs them with ten times the bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from api_running import asynchronous, until
from api_server import RawClient, Served, connected, get, message, serving
from streaming import PIECE, UP_MAX, StreamServer, produced_digest, resident_bytes

SIZE = int(os.environ.get("STREAM_BYTES", str(20 * 1024 * 1024)))
GROWTH_MAX = 8 * 1024 * 1024
LONG = 256 * 1024 * 1024  # more than sockets hold; no test sends it whole
HELD_MAX = 24 * 1024 * 1024  # what the sockets of two hops may hold, and a margin


@asynccontextmanager
async def asked(hops: int) -> AsyncIterator[tuple[StreamServer, Served]]:
    """The leader, and the port that clients ask: the leader's (no hop), or a follower's."""
    leader = StreamServer()
    async with serving(leader.application()) as served:
        if not hops:
            yield leader, served
            return
        follower = StreamServer("follower", served.port)
        async with serving(follower.application()) as front:
            yield leader, front
        follower.http.close()


async def steady(count: Callable[[], int]) -> int:
    """The count once it does not change any more."""
    same, last = 0, -1
    while same < 50:
        now = count()
        same, last = (same + 1, last) if now == last else (0, now)
        await asyncio.sleep(0.002)
    return last


async def head_of(client: RawClient) -> tuple[int, dict[str, str]]:
    """Status and headers of the next answer, whose body is read apart."""
    lines = (await client.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:-2])


async def chunks(client: RawClient) -> AsyncIterator[bytes]:
    """The pieces of a chunked body."""
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        piece = await client.reader.readexactly(size)
        await client.reader.readexactly(2)
        yield piece
    await client.reader.readexactly(2)


async def send_pieces(client: RawClient, size: int) -> str:
    """Send a chunked body; its digest."""
    digest = hashlib.sha256()
    for start in range(0, size, PIECE):
        piece = bytes([start // PIECE % 199]) * min(PIECE, size - start)
        digest.update(piece)
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await client.writer.drain()
    client.send(b"0\r\n\r\n")
    return digest.hexdigest()


hops = pytest.mark.parametrize("hops", [0, 1], ids=["asked of the leader", "forwarded"])


@hops
@asynchronous
async def test_an_answer_of_any_size_takes_little_memory(hops: int) -> None:
    async with asked(hops) as (leader, served), connected(served.port) as client:
        before = most = resident_bytes()
        client.send(get(f"/v1/test/down?bytes={SIZE}", "Accept-Encoding: gzip"))
        status, headers = await head_of(client)
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert "content-encoding" not in headers
        digest = hashlib.sha256()
        async for piece in chunks(client):
            digest.update(piece)
            most = max(most, resident_bytes())
        assert digest.hexdigest() == produced_digest(SIZE)
        assert most - before < GROWTH_MAX
        await until(lambda: leader.seen.ended == ["down"])
        assert (await client.get("/v1/status/leader")).status == 200


@hops
@asynchronous
async def test_a_body_of_any_size_takes_little_memory(hops: int) -> None:
    async with asked(hops) as (_, served), connected(served.port) as client:
        before = resident_bytes()
        client.send(message("PUT", "/v1/test/up", "Transfer-Encoding: chunked"))
        digest = await send_pieces(client, SIZE)
        answer = await client.answer()
        assert answer.body.decode() == f"{SIZE} {digest}"
        assert resident_bytes() - before < GROWTH_MAX
        assert (await client.get("/v1/status/leader")).status == 200


@hops
@asynchronous
async def test_a_known_length_is_kept(hops: int) -> None:
    async with asked(hops) as (_, served), connected(served.port) as client:
        client.send(get("/v1/test/down?bytes=200000&length"))
        answer = await client.answer()
        assert answer.headers["content-length"] == "200000"
        assert hashlib.sha256(answer.body).hexdigest() == produced_digest(200_000)
        client.send(message("PUT", "/v1/test/up", body=b"x" * 300_000))
        assert (await client.answer()).body.startswith(b"300000 ")


@hops
@asynchronous
async def test_a_slow_reader_pauses_the_producer(hops: int) -> None:
    async with asked(hops) as (leader, served), connected(served.port) as client:
        client.send(get(f"/v1/test/down?bytes={LONG}"))
        await head_of(client)
        client.stop_reading()
        held = await steady(lambda: leader.seen.produced)
        assert 0 < held < HELD_MAX
        client.read_on()
        await client.reader.readexactly(held)
        await until(lambda: leader.seen.produced > held)


@hops
@asynchronous
async def test_a_slow_handler_pauses_the_client(hops: int) -> None:
    async with asked(hops) as (leader, served), connected(served.port) as client:
        leader.seen.gate.clear()
        client.send(message("PUT", "/v1/test/up", f"Content-Length: {LONG // 2}"))
        taken = 0

        async def send() -> None:
            nonlocal taken
            for _ in range(LONG // 2 // PIECE):
                client.send(bytes(PIECE))
                await client.writer.drain()
                taken += PIECE

        sending = asyncio.ensure_future(send())
        await until(lambda: leader.seen.consumed > 0)
        assert await steady(lambda: taken) < HELD_MAX
        assert not sending.done()
        leader.seen.gate.set()
        await sending
        assert (await client.answer()).body.startswith(b"%d " % (LONG // 2))


@hops
@asynchronous
async def test_a_client_that_goes_away_ends_what_it_was_answered(hops: int) -> None:
    async with asked(hops) as (leader, served):
        async with connected(served.port) as client:
            client.send(get(f"/v1/test/down?bytes={LONG}"))
            await head_of(client)
        await until(lambda: leader.seen.ended == ["down"])


@asynchronous
async def test_a_client_that_goes_away_ends_an_answer_that_waits() -> None:
    async with asked(0) as (leader, served):
        async with connected(served.port) as client:
            client.send(get("/v1/test/events"))
            await head_of(client)
            assert await anext(chunks(client)) == b"{}\n"
        await until(lambda: leader.seen.ended == ["events"])


@hops
@asynchronous
async def test_a_client_that_goes_away_ends_the_reading_of_its_body(hops: int) -> None:
    async with asked(hops) as (leader, served):
        async with connected(served.port) as client:
            client.send(message("PUT", "/v1/test/up", f"Content-Length: {LONG // 2}"))
            client.send(bytes(PIECE))
            await until(lambda: leader.seen.consumed > 0)
        await until(lambda: leader.seen.ended == ["the request ended before its body did"])


@hops
@asynchronous
async def test_a_body_over_the_bound_is_refused(hops: int) -> None:
    async with asked(hops) as (_, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up", f"Content-Length: {UP_MAX + 1}"))
        assert (await client.answer()).status == 413


@asynchronous
async def test_a_chunked_body_over_the_bound_is_refused_where_that_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streaming.STREAMS", _with_bound(100_000))
    async with asked(0) as (leader, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up", "Transfer-Encoding: chunked"))
        await send_pieces(client, 200_000)
        answer = await client.answer()
        assert answer.status == 413
        assert leader.seen.consumed <= 100_000
        assert leader.seen.ended == ["the request body is over the limit of 100000 bytes"]


def _with_bound(body_max: int) -> object:
    import msgspec
    from streaming import STREAMS

    return tuple(
        msgspec.structs.replace(row, body_max=body_max) if row.streams else row for row in STREAMS
    )


@asynchronous
async def test_a_body_that_stops_coming_is_given_up() -> None:
    leader = StreamServer()
    async with (
        serving(leader.application(), body_timeout_s=0.05) as served,
        connected(served.port) as client,
    ):
        client.send(message("PUT", "/v1/test/up", f"Content-Length: {LONG // 2}") + b"x")
        assert await client.closed() == b""
        await until(lambda: len(leader.seen.ended) == 1)


@asynchronous
async def test_a_body_that_keeps_coming_may_take_longer_than_a_pause_may() -> None:
    leader = StreamServer()
    async with (
        serving(leader.application(), body_timeout_s=1.0) as served,
        connected(served.port) as client,
    ):
        client.send(message("PUT", "/v1/test/up", "Content-Length: 5"))
        for _ in range(5):
            await asyncio.sleep(0.3)
            client.send(b"x")
        assert (await client.answer()).body.startswith(b"5 ")


@asynchronous
async def test_a_handler_that_pauses_its_client_does_not_count_as_its_silence() -> None:
    leader = StreamServer()
    leader.seen.gate.clear()
    async with (
        serving(leader.application(), body_timeout_s=0.2) as served,
        connected(served.port) as client,
    ):
        client.send(message("PUT", "/v1/test/up", f"Content-Length: {64 * PIECE}"))
        client.send(bytes(64 * PIECE))
        await asyncio.sleep(0.6)
        leader.seen.gate.set()
        assert (await client.answer()).body.startswith(b"%d " % (64 * PIECE))


@hops
@asynchronous
async def test_an_answer_that_fails_is_cut_short(
    hops: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with asked(hops) as (leader, served), connected(served.port) as client:
        client.send(get("/v1/test/down?bytes=1000000&fails"))
        await head_of(client)
        rest = await client.closed()
        assert not rest.endswith(b"0\r\n\r\n")
        await until(lambda: leader.seen.ended == ["down"])
        assert "cut short: the disk is gone" in caplog.text


@hops
@asynchronous
async def test_a_refusal_before_the_end_of_the_body_arrives(hops: int) -> None:
    async with asked(hops) as (_, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up?refuse", body=bytes(4 * 1024 * 1024)))
        answer = await client.answer()
        assert (answer.status, answer.body) == (409, b"not this one")


@hops
@asynchronous
async def test_an_error_of_the_leader_is_told_as_any_other(hops: int) -> None:
    async with asked(hops) as (_, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up?fail", body=b"x"))
        assert (await client.answer()).body == b"rpc error: " * hops + b"it failed"


@hops
@asynchronous
async def test_what_is_left_of_a_body_is_never_taken_for_the_whole(hops: int) -> None:
    """A write that was not begun is tried again, but not with a body that was read."""
    async with asked(hops) as (leader, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up?lost", body=b"x" * 100_000))
        answer = await client.answer()
        assert answer.status == 500
        assert b"leadership changed while the body of the request was read" in answer.body
        assert answer.headers["x-quorate-next"] == "send the request again"
        assert leader.seen.consumed == 100_000


@asynchronous
async def test_a_body_can_be_answered_while_it_comes() -> None:
    async with asked(0) as (_, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/echo", "Transfer-Encoding: chunked"))
        client.send(b"3\r\none\r\n")
        status, headers = await head_of(client)
        assert (status, headers["connection"]) == (200, "close")
        pieces = chunks(client)
        assert await anext(pieces) == b"one"
        client.send(b"3\r\ntwo\r\n")
        assert await anext(pieces) == b"two"
        client.send(b"0\r\n\r\n")
        assert [piece async for piece in pieces] == []


@asynchronous
async def test_a_client_may_wait_for_leave_to_send() -> None:
    async with asked(0) as (_, served), connected(served.port) as client:
        client.send(message("PUT", "/v1/test/up", "Expect: 100-continue", "Content-Length: 3"))
        assert (await client.answer()).status == 100
        client.send(b"abc")
        assert (await client.answer()).body.startswith(b"3 ")


@asynchronous
async def test_answers_keep_the_order_of_requests() -> None:
    async with asked(0) as (_, served), connected(served.port) as client:
        client.send(get("/v1/test/down?bytes=100000&length") + get("/v1/status/leader"))
        assert len((await client.answer()).body) == 100_000
        assert (await client.answer()).body == b'"127.0.0.3:4647"'


@asynchronous
async def test_http_1_0_gets_no_chunks() -> None:
    async with asked(0) as (leader, served):
        for query, status in (("bytes=9&length", 200), ("bytes=9", 505)):
            async with connected(served.port) as client:
                client.send(get(f"/v1/test/down?{query}").replace(b"HTTP/1.1", b"HTTP/1.0"))
                assert (await client.answer()).status == status
        assert leader.seen.produced == 9


@asynchronous
async def test_a_listener_that_closes_ends_its_streams(caplog: pytest.LogCaptureFixture) -> None:
    leader = StreamServer()
    async with serving(leader.application()) as served, connected(served.port) as client:
        client.send(get("/v1/test/events"))
        await head_of(client)
        await served.listener.close(grace_s=0.0)
        assert leader.seen.ended == ["events"]
        assert not (await client.closed()).endswith(b"0\r\n\r\n")
    assert not caplog.records


@asynchronous
async def test_a_leader_that_goes_away_cuts_what_it_was_answering() -> None:
    leader = StreamServer()
    async with serving(leader.application()) as served:
        follower = StreamServer("follower", served.port)
        async with serving(follower.application()) as front, connected(front.port) as client:
            client.send(get(f"/v1/test/down?bytes={LONG}"))
            await head_of(client)
            await served.listener.close(grace_s=0.0)
            rest = await client.closed()
            assert not rest.endswith(b"0\r\n\r\n")
