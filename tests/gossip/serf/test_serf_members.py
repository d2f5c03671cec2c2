"""Serf's view of members: intents, leaving, forcing, pruning, reaping.

See docs/wire.md#lamport-clocks and #states-of-a-member.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gossip_pool import Pool
from gossip_solo import (
    CODEC,
    TAGS,
    VERSIONS,
    Solo,
    address,
    alive,
    changes,
    of,
    refusals,
    reply,
    sent,
    sent_serf,
    serf_news,
)

from quorate.gossip import LAN
from quorate.gossip.effects import JoinDone, LeaveDone, StreamRequest
from quorate.gossip.events import (
    ForceLeaveRequested,
    JoinRequested,
    LeaveRequested,
    SendQuery,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
)
from quorate.gossip.messages import (
    Ack,
    Dead,
    JoinIntent,
    LeaveIntent,
    Ping,
    PushPull,
    PushPullNode,
    RemoteError,
    SerfPushPull,
    SerfStatus,
)
from quorate.gossip.serf.clock import LTIME_MAX


def serf_state(**fields: Any) -> bytes:
    fields.setdefault("ltime", 1)
    fields.setdefault("status_ltimes", {})
    return CODEC.encode_serf(SerfPushPull(**fields))


# -- status ----------------------------------------------------------------------------------------


def leave(ltime: int, prune: bool = False) -> LeaveIntent:
    return LeaveIntent(ltime, "p2", prune)


def join(ltime: int) -> JoinIntent:
    return JoinIntent(ltime, "p2")


DEAD, LEFT = Dead(1, "p2", "p3"), Dead(1, "p2", "p2")

# What is heard about p2, which is alive, and what it is then.
STORIES: list[tuple[list[Any], str]] = [
    ([], "ALIVE"),
    ([leave(5)], "LEAVING"),
    ([leave(5), join(6)], "ALIVE"),
    ([leave(5), join(5)], "LEAVING"),
    ([join(6), leave(5)], "ALIVE"),
    ([leave(5), LEFT], "LEFT"),
    ([leave(5), DEAD], "LEFT"),
    ([DEAD], "FAILED"),
    ([LEFT], "FAILED"),
    ([DEAD, leave(5)], "LEFT"),
    ([DEAD, join(5)], "FAILED"),
    ([DEAD, leave(5, True)], ""),
    ([leave(5), DEAD, leave(6, True)], ""),
    ([leave(5, True)], "LEAVING"),
    ([leave(5, True), DEAD], ""),
    ([leave(5, True), join(6), DEAD], "FAILED"),
    ([DEAD, alive("p2", 2)], "ALIVE"),
    ([leave(5), DEAD, alive("p2", 2)], "ALIVE"),
    ([leave(5, True), DEAD, alive("p2", 1)], ""),
    ([leave(5, True), DEAD, alive("p2", 2)], "ALIVE"),
]


@pytest.mark.parametrize(("story", "status"), STORIES)
def test_story(story: list[Any], status: str) -> None:
    solo = Solo(2)
    for heard in story:
        if isinstance(heard, JoinIntent | LeaveIntent):
            solo.tell_serf(heard)
        else:
            solo.tell(heard)
    assert solo.status("p2") == status
    gone = {**solo.node.roster.failed, **solo.node.roster.left}
    assert ("p2" in gone) is (status in {"FAILED", "LEFT"})


@pytest.mark.parametrize(
    ("heard", "reported"),
    [
        ([leave(5), LEFT], ["LEAVING", "LEFT"]),
        ([DEAD, leave(5)], ["FAILED", "LEFT"]),
        ([DEAD, leave(5, True)], ["FAILED", "LEFT", "REAPED"]),
        ([leave(5), join(6)], ["LEAVING", "UPDATED"]),
        ([DEAD, alive("p2", 2)], ["FAILED", "JOINED"]),
    ],
)
def test_what_is_reported(heard: list[Any], reported: list[str]) -> None:
    solo = Solo(2)
    effects = []
    for message in heard:
        tell = solo.tell_serf if isinstance(message, JoinIntent | LeaveIntent) else solo.tell
        effects += tell(message)
    assert changes(effects) == [("p2", change) for change in reported]


@pytest.mark.parametrize("intent", [join(5), leave(5)])
def test_intents_are_passed_on_once(intent: Any) -> None:
    solo = Solo(2)
    solo.tell_serf(intent)
    assert serf_news(solo) == [intent]
    solo.quiet()
    solo.tell_serf(intent)
    assert not serf_news(solo)
    assert solo.node.clock.time == 6


@pytest.mark.parametrize(
    ("intents", "status"),
    [
        ([join(5)], "ALIVE"),
        ([leave(5)], "LEAVING"),
        ([leave(5), join(6)], "ALIVE"),
        ([join(6), leave(5)], "ALIVE"),
    ],
)
def test_intents_come_before_the_member(intents: list[Any], status: str) -> None:
    solo = Solo()
    for intent in intents:
        solo.tell_serf(intent)
    solo.tell(alive("p2"))
    assert solo.status("p2") == status
    assert solo.node.roster.members["p2"].status_ltime == max(i.ltime for i in intents)


def test_an_old_intent_about_an_unknown_member_is_forgotten() -> None:
    solo = Solo()
    solo.tell_serf(leave(5))
    solo.wait(LAN.recent_intent_s + LAN.reap_interval_s + 1)
    assert not solo.node.roster.intents
    solo.tell(alive("p2"))
    assert solo.status("p2") == "ALIVE"


def test_intents_about_unknown_members_have_a_limit() -> None:
    solo = Solo(0, msgspec.structs.replace(LAN, intents_max=10))
    for number in range(100):
        solo.tell_serf(JoinIntent(number + 1, f"x{number}"))
    assert list(solo.node.roster.intents) == [f"x{n}" for n in range(90, 100)]


def test_a_member_objects_to_a_word_that_it_leaves() -> None:
    solo = Solo(1)
    solo.tell_serf(LeaveIntent(7, "p1"))
    news = [m for m in serf_news(solo) if isinstance(m, JoinIntent)]
    assert news == [JoinIntent(8, "p1")]
    assert solo.status("p1") == "ALIVE"


def test_a_former_life_of_a_member_is_outdone() -> None:
    solo = Solo(1)
    solo.pull(PushPull(False, (), serf_state(ltime=9, status_ltimes={"p1": 8})))
    assert [m for m in serf_news(solo) if isinstance(m, JoinIntent)] == [JoinIntent(9, "p1")]


def test_who_is_said_to_leave_is_asked_again_and_again() -> None:
    solo = Solo(2)
    assert leave(5) in sent_serf(solo.tell_serf(leave(5)), to=2)
    assert leave(5) in sent_serf(solo.wait(LAN.reap_interval_s), to=2)


def test_impossible_times_are_refused() -> None:
    solo = Solo(1)
    for intent in (JoinIntent(LTIME_MAX, "p2"), LeaveIntent(LTIME_MAX, "p2")):
        assert refusals(solo.tell_serf(intent)) == ["UNEXPECTED"]
    solo.pull(PushPull(False, (), serf_state(ltime=1 << 64 - 1, left_members=("p2",))))
    assert solo.node.clock.time <= LTIME_MAX


# -- full exchanges --------------------------------------------------------------------------------


def test_a_push_pull_tells_who_has_left_and_the_times() -> None:
    solo = Solo(3)
    solo.tell(Dead(1, "p2", "p9"), Dead(1, "p3", "p9"))
    solo.tell_serf(LeaveIntent(4, "p2"))
    serf = CODEC.decode_serf(reply(solo.pull(PushPull(False, ()))).user_state)
    assert isinstance(serf, SerfPushPull)
    assert serf.left_members == ("p2",)
    assert serf.status_ltimes == {"p1": 0, "p2": 4, "p3": 0, "p4": 0}
    assert serf.ltime == 5


def test_a_push_pull_in_the_middle_of_a_leave_does_not_take_it_back() -> None:
    """Whoever hears of the leaver's times before its word still believes the word."""
    leaver, hearer = Solo(2), Solo(1)
    leaver.tell_serf(JoinIntent(6, "p2"))
    leaver.tell_serf(LeaveIntent(7, "p2"))
    assert leaver.status("p2") == "LEAVING"
    serf = reply(leaver.pull(PushPull(False, ()))).user_state
    hearer.tell_serf(JoinIntent(6, "p2"))
    hearer.pull(PushPull(False, (), serf))
    hearer.tell_serf(LeaveIntent(7, "p2"))
    hearer.tell(Dead(1, "p2", "p2"))
    assert hearer.status("p2") == "LEFT"


def test_left_members_of_a_peer_are_taken_over() -> None:
    solo = Solo(2)
    solo.tell(Dead(1, "p2", "p9"))
    state = serf_state(ltime=9, status_ltimes={"p2": 4, "p3": 6}, left_members=("p2",))
    solo.pull(PushPull(False, (), state))
    assert solo.status("p2") == "LEFT"
    assert solo.node.roster.members["p2"].status_ltime == 5
    assert solo.node.roster.members["p3"].status_ltime == 6
    assert solo.node.clock.time == 9
    # Two members that agree do not raise the time with every exchange.
    solo.pull(PushPull(False, (), state))
    assert solo.node.roster.members["p2"].status_ltime == 5


@pytest.mark.parametrize("state", [b"\xff", CODEC.encode_serf(JoinIntent(1, "x"))])
def test_an_exchange_with_bad_bytes_changes_nothing(state: bytes) -> None:
    solo = Solo()
    node = PushPullNode("p5", address(5), TAGS, 1, 0, VERSIONS)
    solo.pull(PushPull(False, (node,), state))
    assert not solo.state("p5")


# -- joining ---------------------------------------------------------------------------------------


def joining(*targets: int) -> tuple[Solo, list[StreamRequest]]:
    solo = Solo()
    event = JoinRequested("h", tuple((address(n), f"p{n}") for n in targets))
    return solo, of(solo.step(event), StreamRequest)


def state_of(number: int) -> PushPull:
    node = PushPullNode(f"p{number}", address(number), TAGS, 1, 0, VERSIONS)
    return PushPull(True, (node,), serf_state(ltime=4))


def test_a_join_tries_all_and_reports_when_the_last_is_done() -> None:
    solo, requests = joining(2, 3, 4)
    assert [(r.to, r.name) for r in requests] == [(address(n), f"p{n}") for n in (2, 3, 4)]
    assert all(isinstance(r.message, PushPull) and r.message.join for r in requests)
    assert not of(solo.answer(requests[0], state_of(2)), JoinDone)
    assert [m for m in serf_news(solo) if isinstance(m, JoinIntent)] == [JoinIntent(4, "p1")]
    assert not of(solo.answer(requests[1], RemoteError("wrong key")), JoinDone)
    done = of(solo.step(StreamFailed(requests[2].handle, "refused")), JoinDone)
    failures = ((address(3), "wrong key"), (address(4), "refused"))
    assert done == [JoinDone("h", (address(2),), failures)]
    assert solo.status("p2") == "ALIVE"


@pytest.mark.parametrize("answer", [Ack(1), Ping(1, "p1")])
def test_an_answer_that_is_no_push_pull_fails_the_join(answer: Any) -> None:
    solo, requests = joining(2)
    done = of(solo.answer(requests[0], answer), JoinDone)[0]
    assert not done.joined
    assert done.failures[0][1] == "the answer is no push-pull"


def test_a_late_second_answer_is_ignored() -> None:
    solo, requests = joining(2)
    solo.answer(requests[0], state_of(2))
    assert not solo.step(StreamAnswered(requests[0].handle, state_of(3)))


def test_a_join_through_nobody_is_over_at_once() -> None:
    solo = Solo()
    assert solo.step(JoinRequested("h", ())) == [JoinDone("h", (), ())]


# -- leaving ---------------------------------------------------------------------------------------


def test_a_leave_goes_round_before_the_death() -> None:
    solo = Solo(3)
    solo.step(LeaveRequested("h"))
    assert solo.status("p1") == "LEAVING"
    messages: list[Any] = []
    while not of(solo.effects, LeaveDone):
        solo.wait(0.1)
    for effect in solo.effects:
        messages += [*sent([effect]), *sent_serf([effect])]
    intents = [i for i, m in enumerate(messages) if isinstance(m, LeaveIntent)]
    deaths = [i for i, m in enumerate(messages) if m == Dead(1, "p1", "p1")]
    assert len(intents) == len(deaths) == 4, "four sends each in a pool of four"
    assert max(intents) < min(deaths)
    assert of(solo.effects, LeaveDone) == [LeaveDone("h", in_time=True)]
    assert changes(solo.effects) == [("p1", "LEAVING"), ("p1", "LEFT")]
    assert solo.now - 100.0 < 3.0


def test_a_leave_that_cannot_go_round_ends_all_the_same() -> None:
    solo = Solo(1)
    solo.tell(Dead(1, "p2", "p2"))
    solo.tell(alive("p2", 2))
    solo.node._gossip = lambda: None  # type: ignore[method-assign]  # nothing gets out
    solo.node.prober._begin = lambda: None  # type: ignore[method-assign]
    solo.step(LeaveRequested("h"))
    solo.wait(LAN.broadcast_timeout_s * 2 + LAN.leave_propagate_delay_s + 0.1)
    assert of(solo.effects, LeaveDone) == [LeaveDone("h", in_time=False)]


def test_a_lonely_member_leaves_at_once() -> None:
    solo = Solo()
    solo.step(LeaveRequested("h"))
    assert of(solo.wait(0.0), LeaveDone) == [LeaveDone("h", in_time=True)]


def test_who_is_leaving_does_not_refute() -> None:
    solo = Solo(3)
    solo.step(LeaveRequested("h"))
    solo.wait(2.0)
    solo.tell(Dead(1, "p1", "p2"))
    assert solo.node.incarnation == 1
    assert solo.state("p1") == "LEFT"


def test_nobody_waits_in_vain_for_a_member_that_has_left() -> None:
    solo = Solo()
    solo.step(SendQuery("q", "question", timeout_s=60.0))
    solo.step(LeaveRequested("h"))
    solo.wait(0.0)
    assert solo.node.deadline() == float("inf")
    assert solo.step(LeaveRequested("again")) == [LeaveDone("again", in_time=True)]
    assert reply(solo.pull(PushPull(True, ()))) is None
    joined = of(solo.step(JoinRequested("j", ((address(2), ""),))), JoinDone)
    assert joined[0].failures == ((address(2), "this member has left the pool"),)
    assert not solo.tell(Ping(1, "p1"))
    for event in (SendQuery("q", "x"), ForceLeaveRequested("p2")):
        with pytest.raises(ValueError, match="has left"):
            solo.step(event)


def test_forcing_and_pruning() -> None:
    solo = Solo(2)
    solo.tell(Dead(1, "p2", "p3"))
    solo.quiet()
    assert changes(solo.step(ForceLeaveRequested("p2"))) == [("p2", "LEFT")]
    assert serf_news(solo) == [LeaveIntent(1, "p2")]
    assert changes(solo.step(ForceLeaveRequested("p2", prune=True))) == [("p2", "REAPED")]
    assert not solo.status("p2")
    # A pruned name stays gone, whoever still tells of it.
    assert refusals(solo.tell(alive("p2", 1))) == ["FORGOTTEN"]
    with pytest.raises(ValueError, match="use leave"):
        solo.step(ForceLeaveRequested("p1"))


# -- upkeep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "setting"),
    [(None, "reconnect_timeout_s"), (LeaveIntent(5, "p2"), "tombstone_timeout_s")],
)
def test_who_is_long_gone_is_reaped(intent: LeaveIntent | None, setting: str) -> None:
    settings = msgspec.structs.replace(LAN, **{setting: 100.0})
    solo = Solo(1, settings)
    if intent is not None:
        solo.tell_serf(intent)
    solo.tell(DEAD)
    solo.wait(95.0)
    assert solo.status("p2")
    assert ("p2", "REAPED") in changes(solo.wait(LAN.reap_interval_s + 6))
    assert not solo.status("p2")
    assert refusals(solo.tell(alive("p2", 1))) == ["FORGOTTEN"]


def test_failed_members_are_tried_again() -> None:
    solo = Solo(1)
    solo.tell(DEAD)
    requests = of(solo.wait(LAN.reconnect_interval_s + 1), StreamRequest)
    assert [(r.to, type(r.message)) for r in requests] == [(address(2), PushPull)]
    effects = solo.answer(
        requests[0], PushPull(False, (PushPullNode("p2", address(2), TAGS, 2, 0, VERSIONS),))
    )
    assert changes(effects) == [("p2", "JOINED")]


def test_in_a_large_pool_few_try() -> None:
    solo = Solo(60)
    solo.tell(DEAD)
    requests = of(solo.wait(LAN.reconnect_interval_s * 60), StreamRequest)
    tries = [r for r in requests if r.to == address(2)]
    assert 0 <= len(tries) < 8, "about one in sixty"


# -- a pool ----------------------------------------------------------------------------------------


def test_five_servers_leave_fail_and_come_back() -> None:
    pool = Pool(1)
    pool.grow(5)
    assert pool.run_until(pool.agrees, 5.0) < 1.0
    pool.step(pool.hosts["s4"], LeaveRequested("h"))
    assert pool.run_until(lambda: pool.sees("s4", SerfStatus.LEFT), 10.0) < 5.0
    pool.run(2.0)
    assert pool.hosts["s4"].of(LeaveDone) == [LeaveDone("h", in_time=True)]
    pool.stop("s4")
    pool.stop("s3")
    assert pool.run_until(lambda: pool.sees("s3", SerfStatus.FAILED), 10.0) < 5.0
    assert pool.changes("s0", "s4") == ["JOINED", "LEAVING", "LEFT"]
    assert pool.changes("s0", "s3") == ["JOINED", "FAILED"]
    for name in ("s3", "s4"):
        pool.start(name)
        pool.join(name, "s1")
    assert pool.run_until(pool.agrees, 5.0) < 1.0


def test_a_pruned_server_stays_gone_until_it_joins_again() -> None:
    pool = Pool(2)
    pool.grow(5)
    pool.run(3.0)
    pool.part(["s0", "s1", "s2", "s3"], ["s4"])
    pool.run(15.0)
    stale = pool.hosts["s4"]
    pool.stop("s4")
    pool.step(pool.hosts["s0"], ForceLeaveRequested("s4", prune=True))
    pool.run(2.0)
    assert all(not h.status("s4") for h in pool.up())
    # A member that slept through all of it brings old news.
    pool.heal()
    old = stale.node.table.records["s4"]
    node = PushPullNode("s4", old.address, old.meta, 1, 0, old.versions)
    for host in pool.up():
        pool.step(host, pool_stream(PushPull(False, (node,))))
    pool.run(10.0)
    assert all(host.status("s4") is SerfStatus.NONE for host in pool.up())
    pool.start("s4")
    pool.join("s4", "s2")
    assert pool.run_until(pool.agrees, 5.0) < 1.0


def pool_stream(message: PushPull) -> Any:
    """An exchange whose answer nobody waits for."""
    return StreamReceived(-1, address(77), message)


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_comes_back_elsewhere_under_its_name_is_taken(seed: int) -> None:
    """Killed and restarted with another address, before anybody has noticed that it was gone."""
    pool = Pool(seed)
    pool.grow(5)
    pool.run(5.0)
    pool.stop("s2")
    pool.start("s2", "10.9.9.9")
    pool.join("s2", "s0")
    assert pool.run_until(pool.agrees_on_addresses, 30.0) < 8.0


def test_all_servers_change_their_address_at_once() -> None:
    pool = Pool(9)
    pool.grow(3)
    pool.run(5.0)
    for number in range(3):
        pool.stop(f"s{number}")
    for number in range(3):
        pool.start(f"s{number}", f"10.8.0.{number}")
    for number in range(3):
        pool.join(f"s{number}", *(f"s{other}" for other in range(3) if other != number))
    assert pool.run_until(pool.agrees_on_addresses, 30.0) < 2.0
