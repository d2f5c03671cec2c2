"""Patience: how long a suspect has, and what a member that is unwell does (Lifeguard)."""

from __future__ import annotations

import math

import pytest
from gossip_pool import Pool
from gossip_solo import Solo, alive
from test_swim_probe import fail, next_ping

from quorate.gossip import LAN, LOCAL, WAN, Settings
from quorate.gossip.messages import Ack, SerfStatus, Suspect
from quorate.gossip.swim.suspicion import Awareness, confirmations_wanted, shortest_s, timeout_s


@pytest.mark.parametrize(
    ("settings", "members", "shortest", "wanted"),
    [
        (LAN, 1, 2.0, 0),
        (LAN, 3, 2.0, 0),
        (LAN, 4, 2.0, 2),
        (LAN, 10, 2.0, 2),
        (LAN, 100, 4.0, 2),
        (LAN, 1000, 6.0, 2),
        (WAN, 3, 30.0, 0),
        (WAN, 6, 30.0, 4),
        (WAN, 1000, 90.0, 4),
        (LOCAL, 3, 3.0, 1),
        (LOCAL, 100, 6.0, 1),
    ],
)
def test_times_by_size(settings: Settings, members: int, shortest: float, wanted: int) -> None:
    assert shortest_s(settings, members) == pytest.approx(shortest)
    assert confirmations_wanted(settings, members) == wanted


@pytest.mark.parametrize(
    ("wanted", "confirmations", "seconds"),
    [
        # memberlist's own examples, with 2 s and 30 s and three confirmations.
        (3, 0, 30.0),
        (3, 1, 16.0),
        (3, 2, 7.81),
        (3, 3, 2.0),
        (0, 0, 2.0),
        (2, 0, 30.0),
        (2, 1, 12.334),
        (2, 2, 2.0),
    ],
)
def test_confirmations_shorten_the_time(wanted: int, confirmations: int, seconds: float) -> None:
    assert timeout_s(2.0, 30.0, wanted, confirmations) == pytest.approx(seconds, abs=0.001)


def time_to_die(solo: Solo, name: str) -> float:
    begin = solo.now
    while solo.state(name) == "SUSPECT":
        solo.wait(0.01)
        # All others answer.
        solo.node.awareness.score = 0
    return solo.now - begin


@pytest.mark.parametrize(
    ("senders", "seconds"),
    [
        (["p3"], 12.0),
        (["p3", "p3", "p3"], 12.0),
        (["p3", "p4"], 12 - 10 * math.log(2) / math.log(3)),
        (["p3", "p4", "p5"], 2.0),
        (["p3", "p4", "p5", "p6"], 2.0),
    ],
)
def test_a_suspect_dies_when_its_time_is_over(senders: list[str], seconds: float) -> None:
    solo = Solo(6, seed=3)
    solo.node.prober._begin = lambda: None  # type: ignore[method-assign]  # nobody is probed here
    for sender in senders:
        solo.tell(Suspect(1, "p2", sender))
    assert time_to_die(solo, "p2") == pytest.approx(seconds, abs=0.02)
    assert solo.state("p2") == "DEAD"


def test_a_late_confirmation_cannot_make_it_die_in_the_past() -> None:
    solo = Solo(6)
    solo.node.prober._begin = lambda: None  # type: ignore[method-assign]  # nobody is probed here
    solo.tell(Suspect(1, "p2", "p3"))
    solo.wait(5.0)
    solo.tell(Suspect(1, "p2", "p4"), Suspect(1, "p2", "p5"))
    solo.wait(0.01)
    assert solo.state("p2") == "DEAD"


def test_a_refutation_ends_it() -> None:
    solo = Solo(6)
    solo.tell(Suspect(1, "p2", "p3"))
    solo.tell(alive("p2", 2))
    record = solo.node.table.records["p2"]
    assert record.suspicion is None
    assert solo.state("p2") == "ALIVE"


def test_only_new_confirmations_are_passed_on() -> None:
    solo = Solo(6)
    told = []
    for sender in ("p3", "p4", "p4", "p5", "p6"):
        solo.quiet()
        solo.tell(Suspect(1, "p2", sender))
        told.append([m.sender for m in solo.news() if isinstance(m, Suspect)])
    assert told == [["p3"], ["p4"], [], ["p5"], []]


def test_being_suspected_anew_is_a_new_matter() -> None:
    solo = Solo(6)
    solo.tell(Suspect(1, "p2", "p3"))
    solo.wait(1.0)
    solo.tell(Suspect(2, "p2", "p3"))
    assert solo.incarnation("p2") == 2
    solo.tell(alive("p2", 2))
    assert solo.state("p2") == "SUSPECT", "the same incarnation does not refute"


def test_awareness_stays_within_its_bounds() -> None:
    awareness = Awareness(8)
    scores = []
    for delta in (-1, 1, 3, 9, -2, -9):
        awareness.add(delta)
        scores.append(awareness.score)
    assert scores == [0, 1, 4, 7, 5, 0]
    awareness.add(2)
    assert awareness.scaled(0.5) == 1.5


@pytest.mark.parametrize(("nacks", "score"), [(0, 3), (1, 2), (3, 0)])
def test_helpers_that_are_silent_mean_that_it_may_be_us(nacks: int, score: int) -> None:
    solo = Solo(6)
    fail(solo, nacks=nacks)
    assert solo.node.awareness.score == score


def test_without_helpers_a_failed_probe_counts_as_one() -> None:
    solo = Solo(1)
    fail(solo)
    assert solo.node.awareness.score == 1


def test_an_unwell_member_is_more_patient_and_recovers() -> None:
    solo = Solo(6)
    solo.node.awareness.score = 3
    ping = next_ping(solo)
    solo.wait(LAN.probe_interval_s * 3.5)
    assert solo.state(ping.node) == "ALIVE"
    solo.tell(Ack(ping.sequence))
    assert solo.node.awareness.score == 2
    solo.wait(1.0)
    assert solo.state(ping.node) == "ALIVE"


@pytest.mark.parametrize("seconds", [3.0, 30.0])
def test_who_stood_still_does_not_blame_the_others(seconds: float) -> None:
    """A process that was stopped hears what waits in its socket before its timers run out."""
    pool = Pool(4)
    pool.grow(5)
    pool.run(10.0)
    pool.freeze("s2", seconds)
    pool.run(seconds + 20.0)
    assert pool.agrees()
    reported = [pool.changes("s2", f"s{n}") for n in (0, 1, 3, 4)]
    assert reported == [["JOINED"]] * 4
    assert pool.hosts["s0"].status("s2") is SerfStatus.ALIVE
