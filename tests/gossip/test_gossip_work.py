"""What strangers may make a member do is counted: steps, members, jumps of clocks."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from gossip_solo import (
    CODEC,
    TAGS,
    VERSIONS,
    Solo,
    address,
    alive,
    of,
    refusals,
    sent,
    serf_news,
)

from quorate.gossip import LAN
from quorate.gossip.effects import EventArrived, QueryArrived, StreamReply, StreamRequest
from quorate.gossip.events import JoinRequested
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    EventsAt,
    JoinIntent,
    LeaveIntent,
    NodeFilter,
    NodeState,
    Ping,
    PushPull,
    PushPullNode,
    Query,
    SerfPushPull,
    Suspect,
    TagFilter,
    UserEvent,
)
from quorate.gossip.serf.clock import JUMP_MAX, LTIME_MAX
from quorate.gossip.serf.expressions import BadExpression, Budget, Expression
from quorate.gossip.serf.queries import FILTERS_MAX
from quorate.gossip.swim.merge import INCARNATION_MAX
from quorate.gossip.swim.push_pull import SLICE
from quorate.gossip.swim.table import NEW_INCARNATION_MAX, RISE_MAX
from quorate.gossip.timers import Timers

TOO_LONG_S = 0.1


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """A full collection of all that the test process holds takes longer than what is measured."""
    gc.disable()
    yield
    gc.enable()


"""CPU time: ten times what a stranger may cost, for slow machines."""


def query(number: int, *filters: NodeFilter | TagFilter, payload: bytes = b"") -> Query:
    encoded = tuple(map(CODEC.encode_filter, filters))
    return Query(
        5, number, address(9), "p9", "load", filters=encoded, payload=payload, timeout_ns=10**9
    )


COSTLY = [
    "(a?){400}" + "b",
    "(.*.*){50}b",
    "([" + "b" * 300 + "]*){9}c",
    "(?:(?:(?:(?:a|a)|(?:a|a))*)*)*b",
    "(()|()|()|()){400}x",
    "(" * 49 + "a" + ")" * 49 + "{500}",
]


@pytest.mark.parametrize("pattern", COSTLY)
def test_an_expression_that_takes_long_is_given_up(pattern: str) -> None:
    budget = Budget()
    began = time.thread_time()
    with pytest.raises(BadExpression):
        Expression(pattern, budget).search("a" * 512)
    assert time.thread_time() - began < TOO_LONG_S


def test_a_query_has_one_budget_for_all_its_filters() -> None:
    solo = Solo(1)
    solo.node.tags["role"] = "a" * 400
    costly = [TagFilter("role", "^(a|b)*(a|b)*(a|b)*a$")] * FILTERS_MAX
    began = time.thread_time()
    effects = solo.tell_serf(query(1, *costly))
    assert time.thread_time() - began < TOO_LONG_S
    assert not of(effects, QueryArrived)
    assert refusals(effects) == ["BAD_BYTES"]


def test_all_queries_of_a_second_have_one_budget_and_it_fills_again() -> None:
    solo = Solo(1)
    solo.node.tags["role"] = "a" * 400
    began = time.thread_time()
    for number in range(200):
        solo.tell_serf(query(number, TagFilter("role", "(a|b)*(a|b)*c")))
    assert time.thread_time() - began < 5 * TOO_LONG_S
    assert not of(solo.tell_serf(query(300, TagFilter("role", "^a+$"))), QueryArrived)
    solo.wait(2.0)
    assert of(solo.tell_serf(query(301, TagFilter("role", "^a+$"))), QueryArrived)


def test_a_query_over_the_limits_is_not_even_passed_on() -> None:
    solo = Solo(1)
    many = [NodeFilter(("p1",))] * (FILTERS_MAX + 1)
    for too_large in (query(1, *many), query(2, payload=b"x" * 1025)):
        assert refusals(solo.tell_serf(too_large)) == ["TOO_LARGE"]
    assert not serf_news(solo)


def invented(number: int) -> Alive:
    return alive(f"x{number}", address=Address(f"10.9.{number >> 8 & 255}.{number & 255}", 4648))


SERVER = msgspec.structs.replace(
    LAN, members_max=512, new_names=512.0, new_names_per_s=16.0, forgotten_max=64
)


def test_invented_members_have_a_rate_and_a_limit() -> None:
    solo = Solo(2, SERVER)
    for start in range(0, 16_000, 16):
        solo.tell(*(invented(start + more) for more in range(16)))
    assert len(solo.node.table) <= 512
    assert refusals(solo.effects).count("TOO_MANY") + refusals(solo.effects).count(
        "TABLE_FULL"
    ) == 16_000 - (len(solo.node.table) - 3)


def test_invented_members_are_gone_when_the_flood_stops() -> None:
    solo = Solo(1, SERVER)
    solo.node.roster.members["p2"].confirmed = True
    for number in range(100):
        solo.tell(invented(number), Dead(1, f"x{number}", "p2"))
    solo.tell(Dead(1, "p2", "p9"))
    assert len(solo.node.roster.failed) == 101
    solo.wait(360.0)
    assert list(solo.node.roster.failed) == ["p2"], "a real server is kept for long"


def test_a_pool_full_of_invented_members_still_takes_in_a_server_that_comes() -> None:
    solo = Solo(2, SERVER)
    for number in range(600):
        solo.tell(invented(number), Dead(1, f"x{number}", "p2"))
    solo.wait(10.0)
    solo.tell(alive("p9"))
    assert solo.state("p9") == "ALIVE"


def test_an_answered_ping_confirms() -> None:
    solo = Solo(1)
    while not (pings := [m for m in sent(solo.wait(0.5), to=2) if isinstance(m, Ping)]):
        pass
    solo.tell(Ack(pings[-1].sequence), source=2)
    assert solo.node.roster.members["p2"].confirmed


HIGHEST = INCARNATION_MAX


@pytest.mark.parametrize(
    "forged",
    [
        alive("p2", HIGHEST),
        alive("p2", HIGHEST - 1),
        Suspect(HIGHEST, "p2", "p3"),
        Dead(HIGHEST, "p2", "p3"),
        Dead(HIGHEST, "p2", "p2"),
        Dead(HIGHEST - 5, "p2", "p2"),
    ],
)
def test_no_incarnation_is_brought_to_its_end(forged: Alive | Suspect | Dead) -> None:
    """Neither at the others nor at the member itself: what it says next still counts."""
    others = Solo(2)
    assert refusals(others.tell(forged)) == ["UNEXPECTED"]
    assert (others.state("p2"), others.incarnation("p2")) == ("ALIVE", 1)
    myself = msgspec.structs.replace(forged, node="p1")
    if isinstance(myself, Alive):
        myself = msgspec.structs.replace(myself, address=address(1))
    victim = Solo(2)
    victim.tell(myself)
    assert victim.node.incarnation == 1


def test_an_incarnation_rises_by_what_is_allowed_and_is_outdone() -> None:
    solo = Solo(2)
    for step in range(1, 200):
        solo.tell(Suspect(900 * step, "p2", "p3"))
    accused = solo.incarnation("p2")
    assert accused <= 1 + RISE_MAX
    solo.wait(0.2)
    solo.tell(alive("p2", accused + 1))
    assert (solo.state("p2"), solo.incarnation("p2")) == ("ALIVE", accused + 1)
    assert refusals(Solo(0).tell(alive("p9", NEW_INCARNATION_MAX + 1))) == ["UNEXPECTED"]


def test_a_restarted_member_outdoes_what_the_pool_remembers_of_it_once() -> None:
    """Also if that is more than its incarnation may rise by what others say."""
    solo = Solo(0)

    def join(remembered: int) -> int:
        effects = solo.step(JoinRequested("join", ((address(9), ""),)))
        (request,) = [each for each in effects if isinstance(each, StreamRequest)]
        mine = PushPullNode("p1", address(1), TAGS, remembered, NodeState.ALIVE, VERSIONS)
        solo.answer(request, PushPull(True, (mine,), b""))
        return solo.node.incarnation

    assert join(50 * RISE_MAX) == 50 * RISE_MAX + 1
    assert alive("p1", 50 * RISE_MAX + 1, meta=solo.node.meta) in solo.news()
    assert join(NEW_INCARNATION_MAX) == 50 * RISE_MAX + 1


def test_no_clock_is_brought_to_its_end() -> None:
    last = LTIME_MAX - 1
    solo = Solo(2)
    for forged in (LeaveIntent(last, "p2"), JoinIntent(last, "p2"), UserEvent(last, "x")):
        solo.tell_serf(forged)
    solo.tell_serf(Query(last, 1, address(9), "p9", "load", timeout_ns=10**9))
    state = SerfPushPull(last, {"p2": last}, ("p2",), last, (EventsAt(last, (("e", None),)),), last)
    solo.pull(PushPull(False, (), CODEC.encode_serf(state)))
    assert max(solo.node.clocks()) < 10
    assert solo.status("p2") == "ALIVE"


def test_a_clock_far_ahead_is_followed() -> None:
    """As of a pool that is old, by a member that is new."""
    solo = Solo(2)
    solo.tell_serf(LeaveIntent(JUMP_MAX // 2, "p2"))
    assert solo.node.clock.time == JUMP_MAX // 2 + 1
    solo.tell_serf(JoinIntent(JUMP_MAX // 2 + 1, "p2"))
    assert solo.status("p2") == "ALIVE"


def exchange(members: int, **serf: Any) -> PushPull:
    """The state of a pool of that many, as a peer tells it."""
    nodes = tuple(
        PushPullNode(a.node, a.address, a.meta, 1, NodeState.ALIVE, a.versions)
        for a in map(invented, range(members))
    )
    times = {node.name: 5 for node in nodes}
    state = SerfPushPull(9, times, (), 1, **serf)
    return PushPull(False, nodes, CODEC.encode_serf(state))


def test_an_exchange_is_taken_in_slice_by_slice() -> None:
    solo = Solo(1)
    solo.pull(exchange(300))
    assert len(solo.node.table) == 2 + SLICE
    solo.wait(0.1)
    assert len(solo.node.table) == 2 + 300
    assert solo.node.roster.members["x299"].status_ltime == 5, "Serf's part comes behind it"


def test_a_member_twice_in_an_exchange_is_refused() -> None:
    solo = Solo(1)
    twice = exchange(2)
    twice = PushPull(False, twice.nodes + twice.nodes[:1])
    assert "UNEXPECTED" in refusals(solo.pull(twice))
    assert len(solo.node.table) == 2


def test_times_of_more_members_than_there_can_be_are_refused() -> None:
    solo = Solo(1, SERVER)
    many = SerfPushPull(9, {f"x{number}": 5 for number in range(2000)})
    assert "TOO_LARGE" in refusals(solo.pull(PushPull(False, (), CODEC.encode_serf(many))))
    assert not solo.node.roster.intents


def test_members_that_fail_at_the_same_moment_do_so_in_several_turns() -> None:
    timers = Timers()
    done: list[int] = []
    for number in range(100):
        timers.at(1.0, partial(done.append, number))
    turns = 0
    while timers.deadline() <= 1.0:
        timers.run(1.0)
        turns += 1
    assert done == list(range(100))
    assert turns == 4


def test_user_events_of_strangers_fill_no_exchange() -> None:
    solo = Solo(1)
    for number in range(3000):
        solo.tell_serf(UserEvent(1 + number % 16, f"e{number}", b"x" * 5000))
    solo.tell_serf(UserEvent(9000, "too large", b"x" * 10_000))
    reply = of(solo.pull(PushPull(False, ())), StreamReply)[0]
    assert len(reply.message.user_state) < 1 << 18
    newest = SerfPushPull(9, {}, (), 1, (EventsAt(9000, (("new", None),)),))
    solo.effects.clear()
    solo.pull(PushPull(False, (), CODEC.encode_serf(newest)))
    assert [event.name for event in of(solo.effects, EventArrived)] == ["new"]
