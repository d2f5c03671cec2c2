"""Nothing that comes over a pool's port does more than cost a counter."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from random import Random
from types import SimpleNamespace

import msgspec
import pytest
import uvloop
from pool_cluster import (
    KEY,
    OTHER_KEY,
    QUICK,
    Pools,
    living,
    refused,
    scenario,
    status,
    until,
    where,
)

from quorate.gossip import events
from quorate.gossip.effects import Effect
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    Message,
    Ping,
    PushPull,
    PushPullNode,
    RemoteError,
    SerfPushPull,
    Versions,
)
from quorate.metrics import Metrics
from quorate.pool.pool import Pool
from quorate.pool.refusals import LINES_MAX, PREFIX, Refusals
from quorate.pool.sockets import Sockets
from quorate.pool.streams import THREAD_BYTES
from quorate.wire import gossip
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist.keyring import Keyring
from quorate.wire.memberlist.layers import Layers, compressed
from quorate.wire.memberlist.packet import encode_packets
from quorate.wire.memberlist.stream import StreamReader, encode_stream

PLAIN = Layers(compress=False)
NOT_OURS = "No installed keys could decrypt the message"


def nonce() -> bytes:
    return bytes(12)


def throw(pool: Pool, *packets: bytes) -> None:
    """Send these to a pool from a socket of nobody's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in packets:
            sock.sendto(data, (pool.address.host, pool.address.port))


async def say(pool: Pool, data: bytes, layers: Layers = PLAIN) -> Message | None:
    """Send these bytes by TCP; the answer, None if it only closed."""
    reader, writer = await asyncio.open_connection(pool.address.host, pool.address.port)
    writer.write(data)
    writer.write_eof()
    incoming = StreamReader(layers, from_dialler=False)
    try:
        while piece := await reader.read(65536):
            if incoming.feed(piece):
                return incoming.message()
    finally:
        writer.close()
    return None


def packet(message: Message, layers: Layers = PLAIN) -> bytes:
    (data,) = encode_packets([gossip.encode(message)], layers, crc=False, make_nonce=nonce)
    return data


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_garbage_by_udp(key: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    async def story(pools: Pools) -> None:
        random = Random(5)
        a, b = await pools.together("a", "b", key=key)
        caplog.clear()
        garbage = [b"", b"\x07\xff", b"\x63", b"\x04\x80", b"\x09\x80"]
        garbage += [random.randbytes(random.randrange(1, 1400)) for _ in range(300)]
        garbage += [compressed(bytes(4 << 20))[:60_000], packet(Ping(1, "a"))[:-3]]
        garbage += [packet(Dead(9, "b", "b"), Layers(Keyring([OTHER_KEY])))]
        throw(a, *garbage)
        await until(lambda: refused(a, "all") >= 250)
        assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
        await asyncio.sleep(0.3)
        assert living(a) == living(b) == {"a", "b"}
        told = a.refused()
        assert len(told) <= 16
        assert sum(each.times for each in told) <= refused(a, "all")
        if key is not None:
            assert told[0] == (told[0].where, NOT_OURS, told[0].times, told[0].ago_s)
            assert a.key_digests() == b.key_digests()
            assert len(a.key_digests()[0]) == 8
        b.set_tags({"still": "heard"})
        await until(lambda: any(m.tags.get("still") for m in a.members()))

    scenario(story)


def test_garbage_by_tcp_is_answered_with_the_reason() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        random = Random(6)
        assert await say(a, b"\x63") == RemoteError("a stream with the type byte 99")
        assert isinstance(await say(a, b"GET / HTTP/1.1\r\n\r\n"), RemoteError)
        sealed = encode_stream(b"\x00", Layers(Keyring([KEY])), nonce=nonce(), dialler=True)
        assert await say(a, sealed) == RemoteError(
            "Remote state is encrypted and encryption is not configured"
        )
        for count in range(50):
            await say(a, bytes((random.choice((0, 6, 8, 9)),)) + random.randbytes(count * 20))
        assert refused(a, "stream") >= 40
        assert await say(a, gossip.encode(Ping(7, "a"))) == Ack(7)
        assert await say(a, b"") is None
        assert a._streams._held == 0
        assert not a._streams._open

    scenario(story, compress=False)


def test_another_pool_gets_no_answer() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a", label=b"blue")
        assert await say(a, gossip.encode(Ping(7, "a"))) is None
        assert refused(a, "stream") == 1
        throw(a, packet(Ping(1, "a")))
        await until(lambda: refused(a, "packet") == 1)

    scenario(story)


def test_silent_streams_are_bounded_and_end_in_time() -> None:
    async def story(pools: Pools) -> None:
        settings = msgspec.structs.replace(QUICK, stream_timeout_s=1.0)
        a = await pools.start("a", settings=settings, streams_max=8)
        b = await pools.start("b")
        silent = [await asyncio.open_connection(*_place(a)) for _ in range(6)]
        await until(lambda: refused(a, "streams_full") == 2)
        # Half is for one address: four are open, and who comes on top is closed.
        assert a._streams._open["127.0.0.1"] == 4
        assert (await b.join([where(a)])).count == 0
        await until(lambda: refused(a, "stream") == 4)  # the time of the silent ones is over
        assert (await b.join([where(a)])).count == 1
        for _, writer in silent:
            writer.close()

    scenario(story)


def _place(pool: Pool) -> tuple[str, int]:
    return pool.address.host, pool.address.port


def test_streams_that_promise_much_may_not_hold_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.pool.streams.HELD_BYTES_MAX", 200_000)

    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        head = b"\x06\x83\xa4Join\xc2\xa5Nodes\x00\xacUserStateLen\xce\x00\x0f\x00\x00"
        writers = []
        for _ in range(3):
            _, writer = await asyncio.open_connection(*_place(a))
            writer.write(head + bytes(90_000))
            writers.append(writer)
        await until(lambda: refused(a, "stream") == 1)
        assert a._streams._held <= 200_000
        for writer in writers:
            writer.close()
        await until(lambda: a._streams._held == 0)

    scenario(story)


def test_packets_that_come_again_change_nothing() -> None:
    async def story(pools: Pools) -> None:
        a, b, c = await pools.together("a", "b", "c", key=KEY)
        recorded: list[bytes] = []
        received: Callable[[bytes, Address], None] = a._sockets._received

        def record(data: bytes, source: Address) -> None:
            recorded.append(data)
            received(data, source)

        a._sockets._received = record
        await c.leave()
        await until(lambda: status(a, "c") == status(b, "c") == "left")
        await asyncio.sleep(1.0)
        a._sockets._received = received
        assert len(recorded) > 5
        changes = len(pools.seen["a"])
        for _ in range(3):
            throw(a, *recorded)
            await asyncio.sleep(0.1)
        assert len(pools.seen["a"]) == changes
        assert living(a) == {"a", "b"}

    scenario(story)


def test_a_member_with_nonsense_inside_its_messages() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        here = Address("127.0.0.1", 1)
        bad = [
            Alive(1, "x", here, b"\xff\xc1", Versions()),
            Alive(1, "x", here, b"\xff" + bytes(600), Versions()),
            Alive(1, "x", here, None, Versions(0, 0, 0, 0, 0, 0)),
        ]
        throw(a, *map(packet, bad), b"\x08\x63", b"\x08\x04\x80")
        await until(lambda: refused(a, "all") >= 5)
        assert living(a) == {"a"}

    scenario(story)


def full_exchange(members: int) -> PushPull:
    """What a member of a pool of so many says."""
    nodes = tuple(
        PushPullNode(
            f"server-{n}.global",
            Address(f"127.1.{n >> 8}.{n & 255}", 4648),
            gossip.encode_tags({"role": "nomad", "id": f"{Random(n).getrandbits(128):032x}"}),
            1,
            0,
            Versions(),
        )
        for n in range(members)
    )
    state = gossip.encode_serf(SerfPushPull(1, {node.name: 1 for node in nodes}))
    return PushPull(True, nodes, state)


@pytest.mark.parametrize(("members", "in_threads"), [(10, 1), (2000, 2)])
def test_large_exchanges_are_worked_on_in_a_thread(
    members: int, in_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def decompress(data: bytes, limit: int) -> bytes:
        used.append(threading.current_thread().name)
        return lzw.decompress(data, limit)

    def compress(data: bytes) -> bytes:
        used.append(threading.current_thread().name)
        return lzw.compress(data)

    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        message = full_exchange(members)
        data = encode_stream(gossip.encode(message), Layers(), nonce=nonce(), dialler=True)
        assert (len(data) > THREAD_BYTES) == (members == 2000)
        assert isinstance(await say(a, data, Layers()), PushPull)
        await until(lambda: len(a.members()) == members + 1)
        # Now it has as much to say itself. (What this test reads, it does not decompress.)
        watched = SimpleNamespace(compress=compress, decompress=decompress)
        monkeypatch.setattr("quorate.wire.memberlist.layers.lzw", watched)
        reader, writer = await asyncio.open_connection(*_place(a))
        writer.write(data)
        while await reader.read(65536):
            pass
        writer.close()

    scenario(story)
    # Packets are compressed meanwhile, always on the loop.
    threads = [name for name in used if name.startswith("gossip_")]
    assert len(threads) == in_threads
    assert used


def test_compressed_streams_are_decompressed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def decompress(data: bytes, limit: int) -> bytes:
        used.append(threading.current_thread().name)
        return lzw.decompress(data, limit)

    async def story(pools: Pools) -> None:
        a = await pools.start("a", compress=False)
        bomb = encode_stream(b"\x06" + bytes(1 << 20), Layers(), nonce=nonce(), dialler=True)
        assert len(bomb) < THREAD_BYTES
        watched = SimpleNamespace(compress=lzw.compress, decompress=decompress)
        monkeypatch.setattr("quorate.wire.memberlist.layers.lzw", watched)
        assert isinstance(await say(a, bomb), RemoteError)

    scenario(story)
    assert [name.startswith("gossip_") for name in used] == [True]


def test_packets_that_wait_are_heard_before_the_clock() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        order: list[str] = []
        step = a.node.step

        def record(event: events.Event, now: float) -> list[Effect]:
            order.append(type(event).__name__)
            return step(event, now)

        a.node.step = record  # type: ignore[method-assign]  # the order is what is tested
        throw(a, packet(Ping(1, "a")), packet(Ping(2, "a")))
        # The loop stands still, longer than the next deadline of the core.
        while asyncio.get_running_loop().time() <= a.node.deadline():
            time.sleep(0.01)  # noqa: ASYNC251 - to stand still is the point
        await until(lambda: "Tick" in order)
        assert order[:3] == ["PacketReceived", "PacketReceived", "Tick"]

    # uvloop calls what is due before it looks at the sockets.
    scenario(story, loop_factory=uvloop.new_event_loop)


def test_one_line_for_an_origin_and_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    metrics = Metrics()
    refusals = Refusals(metrics, lambda: now)
    for _ in range(100):
        refusals.count("packet", "10.0.0.1", "no such thing")
    refusals.count("packet", "10.0.0.2", "no such thing")
    assert [r.getMessage() for r in caplog.records] == [
        "refused gossip from 10.0.0.1: no such thing",
        "refused gossip from 10.0.0.2: no such thing",
    ]
    caplog.clear()
    refusals.count("packet", "10.0.0.3", "a\nforged line \x1b[31m")
    assert caplog.records[0].getMessage().endswith(": a?forged line ?[31m")
    caplog.clear()
    now = 61.0
    refusals.count("stream", "10.0.0.1", "x" * 1000)
    (line,) = (r.getMessage() for r in caplog.records)
    assert line == f"refused gossip from 10.0.0.1: {'x' * 300} (99 more since the last such line)"
    for number in range(5000):
        refusals.count("packet", f"10.1.{number >> 8}.{number & 255}", "flood")
    assert len(caplog.records) - 1 <= LINES_MAX
    now = 200.0
    caplog.clear()
    refusals.count("packet", "10.2.0.0", "after the flood")
    assert len(caplog.records) == 1
    assert metrics.totals().counters[PREFIX + "all"][0] == 5104


def test_that_packets_are_blocked_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sockets, "send", lambda *_: "")

    async def story(pools: Pools) -> None:
        a, b = await pools.together("a", "b")
        await until(lambda: "answers over TCP, but no UDP packet" in caplog.text)
        ports = (f"allow UDP port {each.address.port} between the servers" for each in (a, b))
        assert any(text in caplog.text for text in ports)
        assert living(a) == {"a", "b"}

    scenario(story)
