"""Pings, help, streams, and who is suspected when (docs/wire.md#probing)."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from gossip_pool import Pool
from gossip_solo import Solo, address, alive, of, refusals, reply, sent

from quorate.gossip import LAN, LOCAL, WAN, Settings
from quorate.gossip.effects import HeardByStreamOnly, SendPacket, StreamRequest
from quorate.gossip.events import StreamReceived
from quorate.gossip.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    SerfStatus,
    Suspect,
    Versions,
)
from quorate.gossip.swim.probe import RELAYED_MAX, patience_of_helper_s

ROUND = LAN.probe_interval_s


def next_ping(solo: Solo) -> Ping:
    """Wait for the next probe to begin."""
    for _ in range(100):
        pings = [m for m in sent(solo.wait(0.01)) if isinstance(m, Ping)]
        if pings:
            return pings[0]
    raise AssertionError("no ping")


def number(name: str) -> int:
    return int(name.strip("p"))


def test_every_member_is_asked_once_a_round() -> None:
    solo = Solo(6)
    asked: list[str] = []
    for _ in range(18):
        ping = next_ping(solo)
        asked.append(ping.node)
        solo.tell(Ack(ping.sequence), source=number(ping.node))
    assert Counter(asked) == {f"p{n}": 3 for n in range(2, 8)}
    assert solo.node.awareness.score == 0


def test_a_ping_says_who_asks_and_goes_to_its_address() -> None:
    solo = Solo(1)
    ping = next_ping(solo)
    assert (ping.node, ping.source, ping.source_node) == ("p2", address(1), "p1")
    packets = [p for p in of(solo.effects, SendPacket) if p.to == address(2)]
    assert packets
    assert not packets[0].crc, "a plain ping goes without a checksum"


def test_silence_is_asked_about_through_others_and_by_a_stream() -> None:
    solo = Solo(5)
    ping = next_ping(solo)
    effects = solo.wait(LAN.probe_timeout_s)
    helpers = [m for m in sent(effects) if isinstance(m, IndirectPing)]
    assert len(helpers) == LAN.indirect_checks
    for ask in helpers:
        assert (ask.node, ask.target, ask.sequence) == (
            *(ping.node, address(number(ping.node)), ping.sequence),
        )
        assert ask.wants_nack
        assert ask.source == address(1)
    asked = [p.to for p in of(effects, SendPacket)]
    assert address(number(ping.node)) not in asked
    stream = of(effects, StreamRequest)[0]
    assert (stream.to, stream.name) == (address(number(ping.node)), ping.node)
    assert stream.timeout_s == pytest.approx(LAN.probe_interval_s - LAN.probe_timeout_s, abs=0.02)


@pytest.mark.parametrize(
    ("protocol", "stream", "nack"), [(2, False, False), (3, True, False), (4, True, True)]
)
def test_old_members_are_not_asked_what_they_do_not_know(
    protocol: int, stream: bool, nack: bool
) -> None:
    solo = Solo()
    old = Versions(protocol_max=protocol)
    solo.tell(alive("p2", versions=old), alive("p3", versions=old))
    next_ping(solo)
    effects = solo.wait(LAN.probe_timeout_s + 0.01)
    assert bool(of(effects, StreamRequest)) is stream
    asks = [m.wants_nack for m in sent(effects) if isinstance(m, IndirectPing)]
    assert asks == [nack]


def fail(solo: Solo, nacks: int = 0, stream: bool = False) -> str:
    """A probe that nobody answers, with so many helpers that say so; its target."""
    ping = next_ping(solo)
    effects = solo.wait(LAN.probe_timeout_s + 0.01)
    for _ in range(nacks):
        solo.tell(Nack(ping.sequence))
    if stream:
        solo.answer(of(effects, StreamRequest)[0], Ack(ping.sequence))
    solo.wait(LAN.probe_interval_s - LAN.probe_timeout_s)
    return ping.node


def test_who_does_not_answer_is_suspected() -> None:
    solo = Solo(5)
    name = fail(solo, nacks=3)
    assert solo.state(name) == "SUSPECT"


def test_an_answer_through_a_helper_counts() -> None:
    solo = Solo(5)
    ping = next_ping(solo)
    solo.wait(LAN.probe_timeout_s + 0.05)
    solo.tell(Ack(ping.sequence), source=9)
    solo.wait(0.4)
    assert solo.state(ping.node) == "ALIVE"


def test_an_answer_by_stream_saves_it() -> None:
    solo = Solo(5)
    name = fail(solo, stream=True)
    assert solo.state(name) == "ALIVE"
    assert of(solo.effects, HeardByStreamOnly) == [HeardByStreamOnly(name, address(number(name)))]


def test_an_answer_by_packet_is_no_sign_of_blocked_ones() -> None:
    solo = Solo(5)
    ping = next_ping(solo)
    effects = solo.wait(LAN.probe_timeout_s + 0.01)
    solo.answer(of(effects, StreamRequest)[0], Ack(ping.sequence))
    solo.tell(Ack(ping.sequence), source=9)
    assert not of(solo.wait(0.4), HeardByStreamOnly)


def test_an_answer_to_another_ping_is_none() -> None:
    solo = Solo(1)
    ping = next_ping(solo)
    solo.tell(Ack(ping.sequence + 1))
    solo.wait(0.6)
    assert solo.state("p2") == "SUSPECT"


def test_a_suspect_hears_of_it_with_the_ping() -> None:
    solo = Solo(1)
    solo.tell(Suspect(1, "p2", "p9"))
    next_ping(solo)
    packet = [p for p in of(solo.effects, SendPacket) if p.to == address(2)][-1]
    messages = sent([packet])
    assert isinstance(messages[0], Ping)
    assert messages[1] == Suspect(1, "p2", "p1")
    assert packet.crc


def test_a_suspect_is_asked_out_of_turn() -> None:
    solo = Solo(30, seed=5)
    for name in ("p7", "p9"):
        solo.tell(Suspect(1, name, "p30"))
        # With thirty members not everybody does: a handful is enough.
    asked = []
    for _ in range(3):
        ping = next_ping(solo)
        asked.append(ping.node)
        solo.tell(Ack(ping.sequence))
    few = sum(_looks_at_once(seed) for seed in range(60))
    assert 5 <= few <= 40, "about 8 of 31 look at once"


def _looks_at_once(seed: int) -> bool:
    solo = Solo(30, seed=seed)
    solo.tell(Suspect(1, "p7", "p30"))
    return next_ping(solo).node == "p7"


@pytest.mark.parametrize("gone", [Dead(1, "p2", "p3"), Dead(1, "p2", "p2")])
def test_who_is_gone_is_not_asked_and_forgotten_after_a_while(gone: Dead) -> None:
    solo = Solo(1)
    solo.tell(gone)
    assert not [m for m in sent(solo.wait(5.0)) if isinstance(m, Ping)]
    assert solo.state("p2")
    solo.wait(LAN.gossip_to_the_dead_s)
    assert not solo.state("p2")
    # Serf remembers it until it is reaped.
    assert solo.status("p2")


def test_a_probe_under_way_does_not_accuse_what_is_newer() -> None:
    solo = Solo(3)
    ping = next_ping(solo)
    solo.wait(0.3)
    where = address(number(ping.node) + 50)
    solo.tell(Dead(1, ping.node, "p9"), alive(ping.node, 2, address=where))
    solo.wait(0.3)
    assert solo.state(ping.node) == "ALIVE"


@pytest.mark.parametrize("settings", [LAN, WAN, LOCAL])
def test_helpers_speak_in_time(settings: Settings) -> None:
    """The asker gives up an interval after its ping; it asks for help after the timeout."""
    asked_after = settings.probe_timeout_s
    heard_after = asked_after + patience_of_helper_s(settings)
    assert heard_after <= 0.95 * settings.probe_interval_s
    pool = Pool(1, settings)
    pool.grow(5)
    pool.run(5.0)
    pool.stop("s3")
    pool.run_until(lambda: pool.sees("s3", SerfStatus.FAILED), 120.0, every=0.1)
    # Nobody takes itself for unwell because another one has died.
    assert [host.node.awareness.score for host in pool.up()] == [0] * 4


# -- the other side --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ping", "to"),
    [(Ping(7, "p1"), 9), (Ping(7, ""), 9), (Ping(7, "p1", address(5), "p5"), 5)],
)
def test_a_ping_is_answered_where_it_wants(ping: Ping, to: int) -> None:
    ack = sent(Solo().tell(ping, source=9), to=to)[0]
    assert isinstance(ack, Ack)
    assert ack.sequence == 7
    assert ack.payload


def test_a_ping_for_another_name_is_not_answered() -> None:
    effects = Solo().tell(Ping(7, "p2"), source=9)
    assert refusals(effects) == ["WRONG_NODE"]
    assert not sent(effects)


@pytest.mark.parametrize(("name", "answer"), [("p1", Ack(7)), ("p2", None)])
def test_a_ping_by_stream(name: str, answer: Ack | None) -> None:
    solo = Solo()
    effects = solo.step(StreamReceived("s", address(9), Ping(7, name)))
    assert reply(effects) == answer


def test_a_helper_passes_the_answer_on() -> None:
    solo = Solo()
    effects = solo.tell(IndirectPing(7, address(5), "p5", wants_nack=True), source=9)
    ping = sent(effects, to=5)[0]
    assert isinstance(ping, Ping)
    assert ping.node == "p5"
    assert sent(solo.tell(Ack(ping.sequence, b"x"), source=5), to=9) == [Ack(7)]
    assert not [m for m in sent(solo.wait(1.0)) if isinstance(m, Nack)]


@pytest.mark.parametrize(("wants", "told"), [(True, [Nack(7)]), (False, [])])
def test_a_helper_says_that_it_heard_nothing(wants: bool, told: list[Nack]) -> None:
    solo = Solo()
    solo.tell(IndirectPing(7, address(5), "p5", wants, address(8)), source=9)
    assert sent(solo.wait(LAN.probe_timeout_s), to=8) == told
    assert not solo.node.awaiting


def test_a_flood_of_requests_for_help_has_a_limit() -> None:
    solo = Solo()
    for sequence in range(RELAYED_MAX + 5):
        effects = solo.tell(IndirectPing(sequence, address(5), "p5"))
    assert refusals(effects) == ["TABLE_FULL"]
    solo.wait(LAN.probe_timeout_s)
    assert solo.node.prober.relayed == 0
    assert not refusals(solo.tell(IndirectPing(1, address(5), "p5")))


def test_coordinates_can_be_left_out() -> None:
    solo = Solo(1, msgspec.structs.replace(LAN, coordinates=False))
    assert sent(solo.tell(Ping(7, "p1"), source=9)) == [Ack(7, None)]
    ping = next_ping(solo)
    solo.tell(Ack(ping.sequence, b"nonsense"))
    assert solo.state("p2") == "ALIVE"
