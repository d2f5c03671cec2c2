"""A flood of packets costs its sender its share of the loop, and nobody else."""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from random import Random
from types import SimpleNamespace

import pytest
from pool_cluster import Pools, living, refused, scenario, until

from quorate.gossip.messages import Ping
from quorate.pool.budget import (
    MEMBER_S,
    MEMBER_SHARE,
    OTHERS_S,
    OTHERS_SHARE,
    PacketBudget,
)
from quorate.pool.pool import Pool
from quorate.pool.sockets import READING_S, Sockets
from quorate.wire.gossip import encode
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist.packet import compound

STRANGER = "127.66.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def spend_all(budget: PacketBudget, host: str) -> float:
    """How much time a host may take at once."""
    spent = 0.0
    while (allowance := budget.of(host)) is not None:
        allowance.owe(0.001)
        spent += 0.001
    return spent


def test_strangers_share_one_allowance_and_members_have_their_own() -> None:
    clock = Clock()
    hosts = {"member", "other"}
    budget = PacketBudget(clock, lambda: hosts)
    assert spend_all(budget, "a") == pytest.approx(OTHERS_S, abs=0.002)
    assert budget.of("b") is None
    assert spend_all(budget, "member") == pytest.approx(MEMBER_S, abs=0.002)
    assert budget.of("other") is not None
    clock.now = 0.1
    assert spend_all(budget, "b") == pytest.approx(0.1 * OTHERS_SHARE, abs=0.002)
    assert spend_all(budget, "member") == pytest.approx(0.1 * MEMBER_SHARE, abs=0.002)


def test_a_new_member_gets_its_own_and_one_that_is_gone_loses_it() -> None:
    clock = Clock()
    hosts: set[str] = set()
    budget = PacketBudget(clock, lambda: hosts)
    spend_all(budget, "new")
    hosts.add("new")
    assert budget.of("new") is None  # the members are looked at once a second
    clock.now = 1.0
    spend_all(budget, "stranger")
    assert spend_all(budget, "new") == pytest.approx(MEMBER_S, abs=0.002)
    hosts.clear()
    clock.now = 2.0
    spend_all(budget, "stranger")
    assert budget.of("new") is None


def test_reading_gives_way_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each packet costs a millisecond here."""
    clock = (step * 0.001 for step in count())
    times = SimpleNamespace(thread_time=lambda: next(clock))
    monkeypatch.setattr("quorate.pool.sockets.time", times)
    here = Sockets("127.0.0.1", 0)
    loop = asyncio.new_event_loop()
    received: list[bytes] = []
    here.listen(loop, lambda data, _: received.append(data))
    try:
        for _ in range(100):
            here.packet.sendto(b"x", (here.address.host, here.address.port))
        here.read_waiting()
        assert 0 < len(received) <= READING_S / 0.001 + 1
    finally:
        here.close()
        loop.close()


def costly() -> bytes:
    """A packet that takes some milliseconds to read."""
    codes = lzw.compress(Random(1).randbytes(10_500))
    return b"\x09\x82\xa4Algo\x00\xa3Buf\xc5" + len(codes).to_bytes(2, "big") + codes


def flood(pool: Pool, data: bytes, packets: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind((STRANGER, 0))
        for _ in range(packets):
            out.sendto(data, (pool.address.host, pool.address.port))


def test_members_are_heard_in_a_flood_of_a_stranger() -> None:
    async def story(pools: Pools) -> None:
        a, b = await pools.together("a", "b")
        await until(lambda: "127.0.0.1" in a.node.confirmed_hosts())

        data = costly()

        def over() -> bool:
            flood(a, data, 10)
            return refused(a, "flood") > 0

        await until(over)
        b.set_tags({"still": "heard"})

        def heard() -> bool:
            flood(a, data, 1)
            return any(member.tags.get("still") for member in a.members())

        await until(heard)
        assert living(a) == living(b) == {"a", "b"}

    scenario(story)


def test_a_packet_that_takes_too_long_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quorate.pool.pool.PACKET_S", 0.0)

    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        parts = [encode(Ping(number, "other")) for number in range(200)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.bind((STRANGER, 0))
            out.sendto(compound(parts), (a.address.host, a.address.port))
        await until(lambda: refused(a, "flood") == 1)
        assert 0 < refused(a, "wrong_node") < 200

    scenario(story)
