"""Connections between servers on loopback: proven on both sides, or not opened."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from net_servers import End, members, until
from patience import PATIENCE_S

from quorate.errors import BadFrame
from quorate.net.key_pair import KeyPair
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.identity import Start


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE_S))


@asynccontextmanager
async def ends(*names: str, **options: Any) -> AsyncIterator[list[End]]:
    made = [End(name, **options) for name in names]
    try:
        for end in made:
            await end.listen()
        members(*made)
        yield made
    finally:
        for end in made:
            await end.close()


async def echoed(end: Any, data: bytes) -> None:
    end.transport.write(data)
    await until(lambda: end.got)


def test_both_ends_know_each_other_and_bytes_pass() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            connection, peer = await a.dial(b.address, "b")
            assert peer is not None
            assert (peer.server_id, peer.key) == ("b", b.key.public)
            connection.transport.write(b"\x02hello")
            await until(lambda: connection.got == b"HELLO")
            there = b.raft[0].peer
            assert there is not None
            assert (there.server_id, there.address) == ("a", a.address)
            assert b.trust.is_member(there)
            assert a.trust.place_of(b.as_member()) == b.address
            assert b.starts.seen["a"] == a.record.start

            web, _ = await a.dial(b.address, "b")
            web.transport.write(b"GET /")
            await until(lambda: web.got == b"GET /")
            assert b.http[0].got == b"GET /"

    run(scenario())


def test_nothing_is_sent_to_a_stranger_at_a_members_address() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            stranger = End("b")  # says that it is b, with a key of its own
            await stranger.listen()
            try:
                for expected in ("b", ""):
                    with pytest.raises(BadFrame, match="another key than the one on record"):
                        await a.dial(stranger.address, expected)
                with pytest.raises(BadFrame, match="another server, a, answers"):
                    await b.dial(a.address, "c")
                assert stranger.raft == stranger.http == []
                assert a.trust.place_of(b.as_member()) == b.address
            finally:
                await stranger.close()

    run(scenario())


def test_words_that_were_passed_on_prove_nothing() -> None:
    """A stranger between two servers passes everything on: then b says that it is elsewhere."""

    async def scenario() -> None:
        async with ends("a", "b") as (a, b):

            async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                host, _, port = b.address.rpartition(":")
                back, forth = await asyncio.open_connection(host, int(port))

                async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
                    while data := await source.read(4096):
                        to.write(data)
                    to.close()

                with suppress(ConnectionError):
                    await asyncio.gather(pump(reader, forth), pump(back, writer))
                for each in (forth, writer):
                    each.transport.abort()

            between = await asyncio.start_server(pass_on, "127.0.0.1", 0)
            place = "{}:{}".format(*between.sockets[0].getsockname()[:2])
            with pytest.raises(BadFrame, match="says that it is at"):
                await a.dial(place, "b")
            _, peer = await a.dial(place)  # any server will do: then the one it says, directly
            assert peer is not None
            assert a.trust.place_of(b.as_member()) == b.address
            between.close()

    run(scenario())


def test_an_impostor_of_a_member_is_refused_by_name_before_it_costs_a_signature() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            impostor = End("a")
            await impostor.listen()
            impostor.configuration = b.configuration
            with pytest.raises(BadFrame, match=r"it refuses this server: a at .* has another key"):
                await impostor.dial(b.address, "b")
            await until(lambda: b.said)
            assert "a at" in b.said[0]
            assert "another key than the one on record" in b.said[0]
            assert b.starts.seen == {}
            await impostor.close()
            assert a.said == []

    run(scenario())


def test_a_connection_without_proof_is_taken_from_named_hosts_or_at_level_0() -> None:
    async def scenario(options: dict[str, Any], taken: bool) -> None:
        async with ends("a", **options) as (a,):
            host, _, port = a.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"\x02ping")
            if taken:
                assert await reader.readexactly(4) == b"PING"
                assert a.raft[0].peer is None
            else:
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(4)
                assert "server.unproven_peers" in a.said[0]
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    run(scenario({}, taken=False))
    run(scenario({"unproven": ("10.0.0.1",)}, taken=False))
    run(scenario({"unproven": ("127.0.0.1",)}, taken=True))
    run(scenario({"lenient": True}, taken=True))


def test_a_peer_of_level_0_is_dialed_without_proof_only_while_the_cluster_is() -> None:
    async def scenario() -> None:
        async def first_version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.readexactly(1)
            if first == b"\x02":
                writer.write(b"raft")
                await writer.drain()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        old = await asyncio.start_server(first_version, "127.0.0.1", 0)
        place = "{}:{}".format(*old.sockets[0].getsockname()[:2])
        async with ends("a", lenient=True) as (a,), ends("b") as (b,):
            for _ in range(2):  # the second time it is known
                connection, peer = await a.dial(place, "old")
                assert peer is None
                connection.transport.write(b"\x02")
                await until(lambda c=connection: c.got == b"raft")
            with pytest.raises(ConnectionError):
                await b.dial(place, "old")
        old.close()

    run(scenario())


def test_a_server_that_an_old_configuration_lacks_is_vouched_for() -> None:
    async def scenario() -> None:
        async with ends("a", "b", "c") as (a, b, c):
            # c was down while b came: it knows a alone.
            c.configuration = Configuration((a.as_member(), c.as_member()))
            connection, _ = await b.dial(c.address, "c")
            connection.transport.write(b"\x02x")
            await until(lambda: c.raft)
            unknown = c.raft[0].peer
            assert unknown is not None
            assert "is no member of the cluster" in c.trust.raft_problem(unknown)

            await a.dial(b.address, "b")  # a hands b a voucher
            await asyncio.sleep(0)
            await until(lambda: b.trust.speaker().vouchers)
            connection, _ = await b.dial(c.address, "c")
            connection.transport.write(b"\x02x")
            await until(lambda: len(c.raft) == 2)
            known = c.raft[1].peer
            assert known is not None
            assert known.vouched
            assert c.trust.raft_problem(known) == ""
            assert not c.trust.is_member(known)

            stranger = End("d")
            stranger.address = "127.0.0.1:9"
            stranger.configuration = c.configuration
            connection, _ = await stranger.dial(c.address, "c")
            connection.transport.write(b"\x02x")
            await until(lambda: len(c.raft) == 3)
            unknown = c.raft[2].peer
            assert unknown is not None
            assert "is no member" in c.trust.raft_problem(unknown)
            await stranger.close()

    run(scenario())


def test_an_old_copy_of_a_folder_is_no_member_any_more() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            await a.dial(b.address, "b")
            old = End("a", key=a.key, number=0)
            old.address, old.configuration = a.address, a.configuration
            assert (
                "old copy" in b.trust.objection(End("a", key=a.key, number=0).record)
                or b.starts.seen == {}
            )
            await until(lambda: b.starts.seen.get("a") == a.record.start)
            assert "old copy" in b.trust.objection(old.record)

    run(scenario())


def test_starts_from_hearsay_count_if_a_member_tells_them_of_members() -> None:
    async def scenario() -> None:
        async with ends("a", "b", "c") as (a, b, c):
            stranger = End("stranger")
            await c.dial(b.address, "b")  # a has never met c
            await until(lambda: "c" in b.starts.seen)
            _, of_b = await a.dial(b.address, "b")
            assert of_b is not None
            told = b.trust.starts_for(a.trust.myself())
            assert told["c"] == c.record.start
            assert b.trust.starts_for(stranger.trust.myself()) == {}
            assert b.trust.starts_for(None) == {}

            await a.trust.learn_starts(stranger.trust.myself(), told)
            assert "c" not in a.starts.seen
            wrong = {"a": Start(9, b"x" * 8), "nobody": Start(9, b"x" * 8), "c": Start(9, b"x")}
            await a.trust.learn_starts(of_b, {**wrong, "b": Start(1 << 62, b"x" * 8)})
            assert a.starts.seen == {"b": b.record.start}
            await a.trust.learn_starts(of_b, told)
            assert a.starts.seen["c"] == c.record.start
            old = End("c", key=c.key, number=0)
            assert "old copy" in a.trust.objection(old.record)
            await stranger.close()

    run(scenario())


def test_a_second_body_of_a_server_stays_out_while_the_first_one_answers() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            connection, _ = await a.dial(b.address, "b")
            connection.transport.write(b"\x02x")
            await until(lambda: b.starts.seen.get("a") == a.record.start)
            copy = End("a", key=a.key, number=2)  # its folder was copied: one start later
            await copy.listen()
            copy.configuration = a.configuration
            connection, _ = await copy.dial(b.address, "b")
            connection.transport.write(b"\x02x")
            await until(lambda: len(b.raft) == 2)
            second = b.raft[1].peer
            assert second is not None
            assert "two copies" in b.trust.raft_problem(second)
            assert a.address in b.said[0]
            assert copy.address in b.said[0]
            assert b.starts.seen["a"] == a.record.start
            assert b.trust.place_of(a.as_member()) == a.address
            first = b.raft[0].peer
            assert first is not None
            assert b.trust.is_member(first)

            await a.close()  # a moves: now the newer start counts
            moved = End("a", key=a.key, number=3)
            await moved.listen()
            moved.configuration = a.configuration
            connection, _ = await moved.dial(b.address, "b")
            connection.transport.write(b"\x02x")
            await until(lambda: b.starts.seen["a"] == moved.record.start)
            await b.dial(moved.address, "a")
            assert b.trust.place_of(a.as_member()) == moved.address
            await copy.close()
            await moved.close()

    run(scenario())


def test_a_removed_server_is_heard_for_a_moment_and_then_no_more() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            connection, _ = await a.dial(b.address, "b")
            connection.transport.write(b"\x02x")
            await until(lambda: b.raft)
            peer = b.raft[0].peer
            assert peer is not None
            b.configuration = Configuration((b.as_member(),))
            assert b.trust.is_member(peer)
            await until(lambda: not b.trust.is_member(peer), timeout_s=8)
            b.port.end_connections(lambda each: not b.trust.is_member(each))
            await asyncio.wait_for(connection.lost, 5)

    run(scenario())


@pytest.mark.parametrize(
    "junk", [b"\x11", b"\x11\xff\xff", b"\x11\0\x05hello", b"\x11" + bytes(99)]
)
def test_junk_in_the_place_of_a_handshake_ends_within_its_time(junk: bytes) -> None:
    async def scenario() -> None:
        async with ends("a") as (a,):
            host, _, port = a.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(junk)
            async with asyncio.timeout(5):
                with suppress(ConnectionResetError):
                    assert await reader.read(10) == b""
            await until(lambda: a.said)
            await until(lambda: not a.port.admission.count)
            assert a.starts.seen == {}
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    run(scenario())


def test_a_configuration_without_keys_believes_the_first_key_of_an_id() -> None:
    async def scenario() -> None:
        async with ends("a", "b") as (a, b):
            b.configuration = Configuration((b.as_member(), Server("a", a.address)))
            connection, _ = await a.dial(b.address, "b")
            connection.transport.write(b"\x02x")
            await until(lambda: b.raft)
            peer = b.raft[0].peer
            assert peer is not None
            assert b.trust.is_member(peer)

    run(scenario())


def test_the_private_half_of_a_key_is_not_shown() -> None:
    key = KeyPair(bytes(32))
    assert repr(key) == f"KeyPair({key.public.hex()[:16]}...)"


@pytest.mark.parametrize("host", ["x" * 64, "a..b", "."])
def test_a_host_that_is_no_name_fails_as_any_other_address(host: str) -> None:
    """It may stand in an old log, or be what a stranger says of itself."""

    async def scenario() -> None:
        async with ends("a") as (a,):
            with pytest.raises(OSError, match="no name that can be looked up"):
                await a.dial(f"{host}:1", "b")

    run(scenario())


@pytest.mark.parametrize(("hosts", "believed"), [((), True), (("127.0.0.1",), False)])
def test_a_proof_of_a_server_that_proves_nothing_is_of_another_one(
    hosts: tuple[str, ...], believed: bool
) -> None:
    """A member without a key is believed by its first proof, unless its host proves nothing."""

    async def scenario() -> None:
        async with ends("a", "b", unproven=hosts) as (a, b):
            keyless = Server("b", b.address)
            a.configuration = Configuration((a.as_member(), keyless))
            peer = b.trust.myself()
            assert a.trust.is_member(peer) is believed
            assert a.trust.is_on_record(peer) is believed

    run(scenario())


def test_a_port_that_closes_leaves_no_accepted_connection_open() -> None:
    """Dialed in the turn of the loop in which it closes: an open transport warns when it goes."""

    async def scenario() -> None:
        for turns in range(6):
            end = End("a")
            await end.listen()
            host, _, port = end.address.rpartition(":")
            clients = [socket.create_connection((host, int(port))) for _ in range(10)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await end.close()
            for client in clients:
                client.close()

    run(scenario())
    gc.collect()
