"""What fills packets: how often, in which order, and never too much.

See docs/wire.md#packets and #probing.
"""

from __future__ import annotations

import msgspec
import pytest
from gossip_solo import CODEC, Solo, address, alive, of, sent
from hypothesis import given
from hypothesis import strategies as st

from quorate.gossip import LAN
from quorate.gossip.effects import SendPacket
from quorate.gossip.events import SendUserEvent
from quorate.gossip.messages import Alive, Dead, Ping, Suspect, Versions
from quorate.gossip.swim.broadcasts import BroadcastQueue, retransmit_limit
from quorate.gossip.swim.push_pull import interval_s


@pytest.mark.parametrize(
    ("members", "times"),
    [(0, 0), (1, 4), (5, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)],
)
def test_how_often_news_is_sent(members: int, times: int) -> None:
    assert retransmit_limit(4, members) == times


@pytest.mark.parametrize(
    ("members", "seconds"),
    [(1, 30), (32, 30), (33, 60), (64, 60), (65, 90), (128, 90), (1000, 180)],
)
def test_exchanges_are_rarer_in_large_pools(members: int, seconds: float) -> None:
    assert interval_s(30.0, members) == seconds


def fill(queue: BroadcastQueue, room: int = 1000, most: int = 100, limit: int = 3) -> list[bytes]:
    parts: list[bytes] = []
    queue.fill(parts, room, 2, most, limit)
    return parts


def test_fewest_sends_then_larger_then_newer() -> None:
    queue = BroadcastQueue(100)
    for data in (b"old", b"new", b"larger"):
        queue.add("", data)
    assert fill(queue) == [b"larger", b"new", b"old"]
    queue.add("", b"x")
    assert fill(queue, most=2) == [b"x", b"larger"]
    assert fill(queue) == [b"new", b"old", b"x", b"larger"]


def test_what_does_not_fit_lets_smaller_news_pass() -> None:
    queue = BroadcastQueue(100)
    queue.add("", b"x" * 50)
    queue.add("", b"y" * 10)
    queue.add("", b"z" * 12)
    assert fill(queue, room=30) == [b"z" * 12, b"y" * 10]
    assert fill(queue, room=51) == [b"z" * 12, b"y" * 10]
    assert fill(queue, room=52) == [b"x" * 50]


def test_each_is_sent_as_often_as_it_should_be_and_then_is_gone() -> None:
    queue = BroadcastQueue(100)
    gone: list[str] = []
    queue.add("a", b"a", lambda: gone.append("a"))
    assert [fill(queue) for _ in range(4)] == [[b"a"], [b"a"], [b"a"], []]
    assert gone == ["a"]
    assert not len(queue)
    assert not queue.has("a")


def test_newer_news_about_a_name_takes_the_place_of_older() -> None:
    queue = BroadcastQueue(100)
    gone: list[str] = []
    queue.add("a", b"one", lambda: gone.append("one"))
    fill(queue)
    queue.add("a", b"two")
    queue.add("", b"three")
    queue.add("", b"three")
    assert gone == ["one"]
    assert sorted(fill(queue)) == [b"three", b"three", b"two"]


def test_the_queue_has_a_limit_and_drops_what_was_sent_most() -> None:
    queue = BroadcastQueue(3)
    queue.add("a", b"a")
    fill(queue)
    for name in "bcd":
        queue.add(name, name.encode())
    assert sorted(fill(queue)) == [b"b", b"c", b"d"]
    for number in range(1000):
        queue.add(str(number), b"n")
    assert len(queue) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from(["", *"abcde"]), st.integers(0, 40), st.booleans()), max_size=60
    ),
    st.integers(1, 6),
)
def test_the_queue_never_sends_twice_in_a_packet_nor_too_often(
    steps: list[tuple[str, int, bool]], limit: int
) -> None:
    queue = BroadcastQueue(20)
    times: dict[bytes, int] = {}
    for number, (name, size, filling) in enumerate(steps):
        queue.add(name, number.to_bytes(2, "big") + bytes(size))
        if filling:
            parts: list[bytes] = []
            room = queue.fill(parts, 100, 2, 5, limit)
            assert len(parts) == len(set(parts)) <= 5
            assert room == 100 - sum(len(part) + 2 for part in parts) >= 0
            for part in parts:
                times[part] = times.get(part, 0) + 1
        assert len(queue) <= 20
    assert all(count <= limit for count in times.values())
    while len(queue):
        assert fill(queue, limit=limit)


# -- from a member ---------------------------------------------------------------------------------


def test_gossip_goes_to_three_others_and_stops_when_all_is_said() -> None:
    solo = Solo(6)
    solo.tell(alive("p2", 2))
    packets = of(solo.wait(LAN.gossip_interval_s), SendPacket)
    gossip = [p for p in packets if isinstance(sent([p])[0], Alive)]
    assert len({p.to for p in gossip}) == len(gossip) == LAN.gossip_nodes
    assert all(p.crc for p in gossip)
    # With seven members: four sends in all, the pings of the probe among them.
    later = sent(solo.wait(5.0))
    assert sum(isinstance(m, Alive) and m.node == "p2" for m in later) == 1
    assert not len(solo.node.news)


def test_checksums_only_for_those_that_know_them() -> None:
    solo = Solo()
    solo.tell(alive("p2", versions=Versions(protocol_max=4)))
    gossip = [p for p in of(solo.wait(1.0), SendPacket) if not isinstance(sent([p])[0], Ping)]
    assert gossip
    assert not any(p.crc for p in gossip)


def test_acks_carry_news() -> None:
    solo = Solo(2)
    solo.tell(alive("p2", 2))
    messages = sent(solo.tell(Ping(1, "p1"), source=3), to=3)
    assert alive("p2", 2) in messages


@pytest.mark.parametrize(("waited", "hears"), [(1.0, True), (LAN.gossip_to_the_dead_s + 1, False)])
def test_the_dead_hear_gossip_for_a_while(waited: float, hears: bool) -> None:
    solo = Solo(1)
    solo.tell(Dead(1, "p2", "p9"))
    solo.quiet()
    solo.node.now = solo.now
    solo.node.table.records["p2"].changed_at = solo.now - waited
    solo.step(SendUserEvent("x"))
    assert bool(sent(solo.wait(0.3), to=2)) is hears


def test_who_has_left_hears_nothing() -> None:
    solo = Solo(1)
    solo.tell(Dead(1, "p2", "p2"))
    assert not sent(solo.wait(1.0), to=2)


@pytest.mark.parametrize("overhead", [0, 45])
def test_packets_stay_within_the_size_and_127_parts(overhead: int) -> None:
    solo = Solo(1, msgspec.structs.replace(LAN, packet_overhead=overhead))
    for number in range(3, 240):
        solo.tell(alive(f"p{number}", address=address(2), meta=None))
        solo.tell(Suspect(1, f"p{number}", "q"))
    packets = of(solo.wait(3.0), SendPacket)
    assert packets
    for packet in packets:
        size = 2 + 5 + overhead + sum(len(part) + 2 for part in packet.parts)
        assert size <= LAN.packet_bytes_max
        assert len(packet.parts) <= 127
    assert max(len(packet.parts) for packet in packets) > 20


def test_127_parts_at_most_even_if_more_would_fit() -> None:
    solo = Solo(1, msgspec.structs.replace(LAN, packet_bytes_max=60_000))
    for number in range(3, 240):
        solo.tell(alive(f"p{number}", address=address(2)))
    counts = [len(p.parts) for p in of(solo.wait(1.0), SendPacket)]
    assert max(counts) == 127


def test_a_message_is_never_lost_on_the_way_to_bytes() -> None:
    message = alive("p2", 7)
    assert CODEC.decode(CODEC.encode(message)) == message
