"""Expressions, coordinates, timers, settings: the small parts, each by itself."""

from __future__ import annotations

import math
import re
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.gossip import LAN, LOCAL, WAN, Settings
from quorate.gossip.messages import Coordinate
from quorate.gossip.serf.expressions import BadExpression, Expression
from quorate.gossip.swim.vivaldi import ORIGIN, Vivaldi, distance_s
from quorate.gossip.timers import Timers

# -- expressions -----------------------------------------------------------------------------------

MATCHES: list[tuple[str, str, bool]] = [
    ("", "", True),
    ("", "abc", True),
    ("b", "abc", True),
    ("^b", "abc", False),
    ("c$", "abc", True),
    ("^abc$", "abc", True),
    ("^abc$", "abcd", False),
    ("a.c", "a\nc", False),
    ("(?s)a.c", "a\nc", True),
    ("(?i)ABC", "xabcx", True),
    ("(?i)[a-c]+$", "ABC", True),
    ("^(web|db)-[0-9]+$", "db-12", True),
    ("^(web|db)-[0-9]+$", "app-12", False),
    ("^a*$", "", True),
    ("^a+$", "", False),
    ("^a?b$", "b", True),
    ("^a{2,3}$", "aa", True),
    ("^a{2,3}$", "aaaa", False),
    ("^a{2,}$", "aaaaa", True),
    ("^a{2}$", "aaa", False),
    ("^a{,2}$", "a{,2}", True),
    ("^[^a-c]$", "b", False),
    ("^[^a-c]$", "d", True),
    ("^[]a]+$", "]a", True),
    ("^[a-]+$", "a-", True),
    (r"^\d+\.\d+$", "1.2", True),
    (r"^[\d.]+$", "1.2", True),
    (r"\bfoo\b", "a foo b", True),
    (r"\bfoo\b", "afoob", False),
    (r"^\w+$", "é", False),
    (r"\$", "a$", True),
    ("^[[:alpha:]]+$", "abc", True),
    ("^[[:digit:][:upper:]]+$", "A1", True),
    ("^(?:ab)*$", "abab", True),
    ("^(a|b|)c$", "c", True),
    ("(a*)*b", "aaac", False),
    ("^a+?b$", "aab", True),
    ("v1|v2", "xv2", True),
]


@pytest.mark.parametrize(("pattern", "text", "found"), MATCHES)
def test_expression(pattern: str, text: str, found: bool) -> None:
    assert Expression(pattern).search(text) is found


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "a)", "(a", "[", "[a", "*a", "a**", "a{3,2}", "a{2000}", "\\"),
        *("[z-a]", "(?P<x>a)", "(?=a)", r"\p{Greek}", r"\1", "[[:nope:]]", "x" * 600),
        *("((a{1000}){1000}){1000}", "(" * 60 + ")" * 60, "((()){1000}){1000}"),
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(BadExpression):
        Expression(pattern)


def test_a_hostile_expression_costs_little() -> None:
    """Python's own engine would be busy for longer than the universe is old."""
    begin = time.process_time()
    assert not Expression("^(a+)+$").search("a" * 500 + "b")
    assert not Expression("^(a|aa)+$").search("a" * 500 + "b")
    with pytest.raises(BadExpression, match="too many steps"):
        Expression("a?" * 80 + "a" * 80 + "b").search("a" * 500)
    assert time.process_time() - begin < 2.0


PIECES = st.recursive(
    st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\d", "1"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda t: f"(?:{t[0]}|{t[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "{2}"])).map(
            lambda t: f"(?:{t[0]}){t[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PIECES, st.booleans(), st.booleans(), st.text("abc1", max_size=8))
def test_expressions_agree_with_python(piece: str, head: bool, tail: bool, text: str) -> None:
    pattern = ("^" if head else "") + f"(?:{piece})" + ("$" if tail else "")
    assert Expression(pattern).search(text) is (re.search(pattern, text) is not None)


# -- coordinates -----------------------------------------------------------------------------------


def test_coordinates_learn_the_distances() -> None:
    """Members on a line, a tenth of a second apart: estimates come near the truth."""
    rng = Random(1)
    members = [Vivaldi(Random(n)) for n in range(6)]
    for _ in range(3000):
        a, b = rng.sample(range(6), 2)
        members[a].update(str(b), members[b].coordinate, 0.1 * abs(a - b))
    for a in range(6):
        for b in range(a):
            truth = 0.1 * abs(a - b)
            guess = distance_s(members[a].coordinate, members[b].coordinate)
            assert guess == pytest.approx(truth, rel=0.25, abs=0.02)


def test_the_first_coordinate() -> None:
    assert Vivaldi(Random(1)).coordinate == Coordinate((0.0,) * 8, 1.5, 1.0e-5, 0.0)


@pytest.mark.parametrize(
    ("other", "round_trip"),
    [
        (ORIGIN, 10.1),
        (ORIGIN, -0.1),
        (ORIGIN, math.nan),
        (Coordinate((0.0,) * 7, 1.5, 0.0, 0.0), 0.1),
        (Coordinate((math.nan,) * 8, 1.5, 0.0, 0.0), 0.1),
        (Coordinate((0.0,) * 8, math.inf, 0.0, 0.0), 0.1),
    ],
)
def test_impossible_figures_are_refused(other: Coordinate, round_trip: float) -> None:
    vivaldi = Vivaldi(Random(1))
    assert not vivaldi.update("x", other, round_trip)
    assert vivaldi.coordinate == ORIGIN


@given(st.lists(st.tuples(*[st.floats()] * 4, st.floats(0, 10)), max_size=10))
def test_a_coordinate_stays_sane(others: list[tuple[float, float, float, float, float]]) -> None:
    vivaldi = Vivaldi(Random(1))
    for place, error, height, adjustment, rtt in others:
        vivaldi.update("x", Coordinate((place,) * 8, error, height, adjustment), rtt)
        ours = vivaldi.coordinate
        assert all(map(math.isfinite, (*ours.vector, ours.error, ours.height, ours.adjustment)))


# -- timers ----------------------------------------------------------------------------------------


def test_timers_run_in_order_once() -> None:
    timers, ran = Timers(), []
    timers.at(2.0, lambda: ran.append("two"))
    timers.at(1.0, lambda: ran.append("one"))
    timers.at(1.0, lambda: ran.append("also one"))
    timers.at(1.5, lambda: ran.append("never")).cancel()
    assert timers.deadline() == 1.0
    timers.run(1.0)
    assert ran == ["one", "also one"]
    assert timers.deadline() == 2.0
    timers.shift(3.0)
    timers.run(4.0)
    assert ran == ["one", "also one"]
    timers.run(5.0)
    assert ran[2:] == ["two"]
    assert timers.deadline() == math.inf


# -- settings --------------------------------------------------------------------------------------

TABLE = {  # docs/wire.md#probing
    "stream_timeout_s": (10, 30, 1),
    "indirect_checks": (3, 3, 1),
    "retransmit_mult": (4, 4, 2),
    "suspicion_mult": (4, 6, 3),
    "suspicion_max_mult": (6, 6, 6),
    "push_pull_interval_s": (30, 60, 15),
    "probe_timeout_s": (0.25, 3, 0.2),  # LAN: half of memberlist's
    "probe_interval_s": (0.5, 5, 1),  # LAN: half of memberlist's
    "gossip_nodes": (3, 4, 3),
    "gossip_interval_s": (0.2, 0.5, 0.1),
    "gossip_to_the_dead_s": (30, 60, 15),
}


@pytest.mark.parametrize("field", TABLE)
def test_the_three_settings(field: str) -> None:
    assert tuple(getattr(s, field) for s in (LAN, WAN, LOCAL)) == TABLE[field]


@pytest.mark.parametrize(
    "fields",
    [
        {"probe_timeout_s": 0.0},
        {"probe_timeout_s": 0.5, "probe_interval_s": 0.5},
        {"packet_bytes_max": 500},
        {"packet_overhead": 1000},
    ],
)
def test_settings_that_cannot_work(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need"):
        Settings(**fields)  # type: ignore[arg-type]  # one table for all types of fields
