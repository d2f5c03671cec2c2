"""User events and queries: once for everybody, answers to who asked.

See docs/wire.md#events-and-queries.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gossip_pool import Pool, Weather
from gossip_solo import (
    CODEC,
    Solo,
    address,
    alive,
    of,
    refusals,
    reply,
    sent_serf,
    serf_news,
)
from test_serf_members import serf_state

from quorate.gossip import LAN
from quorate.gossip.effects import (
    EventArrived,
    KeyAction,
    KeyChangeAsked,
    QueryAcked,
    QueryAnswered,
    QueryArrived,
    QueryDone,
    StreamRequest,
)
from quorate.gossip.events import (
    AnswerKeyQuery,
    AnswerQuery,
    JoinRequested,
    SendQuery,
    SendUserEvent,
    StreamReceived,
)
from quorate.gossip.messages import (
    ConflictResponse,
    EventsAt,
    KeyRequest,
    KeyResponse,
    NodeFilter,
    PushPull,
    Query,
    QueryResponse,
    Relay,
    SerfPushPull,
    TagFilter,
    User,
    UserEvent,
)
from quorate.gossip.serf.asking import default_timeout_s

# -- events ----------------------------------------------------------------------------------------


def arrived(effects: list[Any]) -> list[tuple[str, int]]:
    return [(e.name, e.ltime) for e in of(effects, EventArrived)]


def test_an_event_is_told_here_and_everywhere() -> None:
    solo = Solo(1)
    assert arrived(solo.step(SendUserEvent("deploy", b"v2", coalesce=True))) == [("deploy", 1)]
    assert serf_news(solo) == [UserEvent(1, "deploy", b"v2", True)]
    assert solo.node.event_clock.time == 2
    with pytest.raises(ValueError, match="513 bytes; the limit is 512"):
        solo.step(SendUserEvent("x", b"y" * 512))
    assert solo.node.event_clock.time == 2


@pytest.mark.parametrize(
    ("before", "event", "new"),
    [
        ([], UserEvent(5, "a"), True),
        ([UserEvent(5, "a")], UserEvent(5, "a"), False),
        ([UserEvent(5, "a")], UserEvent(5, "a", b"x"), True),
        ([UserEvent(5, "a")], UserEvent(5, "b"), True),
        ([UserEvent(5, "a")], UserEvent(6, "a"), True),
        ([UserEvent(600, "a")], UserEvent(600 - 511, "a"), True),
        ([UserEvent(600, "a")], UserEvent(600 - 512, "a"), False),
        ([UserEvent(5, "a"), UserEvent(5 + 512, "b")], UserEvent(5, "c"), False),
    ],
)
def test_each_event_counts_once(before: list[UserEvent], event: UserEvent, new: bool) -> None:
    solo = Solo(1)
    for old in before:
        solo.tell_serf(old)
    solo.quiet()
    assert bool(arrived(solo.tell_serf(event))) is new
    assert (event in serf_news(solo)) is new


def test_a_flood_of_events_of_one_time_has_a_limit() -> None:
    solo = Solo(1)
    for number in range(2000):
        solo.tell_serf(UserEvent(5, f"e{number}"))
    assert len(of(solo.effects, EventArrived)) == 256


def test_exchanges_bring_the_events_that_were_missed() -> None:
    solo = Solo(1)
    solo.step(SendUserEvent("mine"))
    events = (None, EventsAt(5, (("a", None), ("b", b"x"))))
    effects = solo.pull(PushPull(False, (), serf_state(event_ltime=9, events=events)))
    answer = CODEC.decode_serf(reply(effects).user_state)
    assert isinstance(answer, SerfPushPull)
    assert answer.events == (EventsAt(1, (("mine", None),)),)
    assert arrived(effects) == [("a", 5), ("b", 5)]
    assert solo.node.event_clock.time == 9
    assert not [m for m in serf_news(solo) if isinstance(m, UserEvent) and m.name == "a"]


@pytest.mark.parametrize(("ignore_old", "told"), [(True, []), (False, [("old", 5)])])
def test_a_join_may_leave_old_events_out(ignore_old: bool, told: list[tuple[str, int]]) -> None:
    solo = Solo(1)
    event = JoinRequested("h", ((address(9), ""),), ignore_old)
    request = of(solo.step(event), StreamRequest)[0]
    events = (EventsAt(5, (("old", None),)),)
    effects = solo.answer(request, PushPull(True, (), serf_state(event_ltime=8, events=events)))
    assert arrived(effects) == told
    assert arrived(solo.tell_serf(UserEvent(8, "new"))) == [("new", 8)]


# -- questions of others ---------------------------------------------------------------------------


def query(**fields: Any) -> Query:
    given: dict[str, Any] = {
        "ltime": 5,
        "id": 77,
        "address": address(9),
        "source_node": "p9",
        "name": "load",
        "timeout_ns": 10**9,
    }
    return Query(**given | fields)


def test_a_query_is_asked_acknowledged_answered_and_passed_on() -> None:
    solo = Solo(2)
    effects = solo.tell_serf(query(payload=b"?", flags=1))
    assert sent_serf(effects, to=9) == [QueryResponse(5, 77, "p1", 1)]
    asked = of(effects, QueryArrived)
    assert asked == [QueryArrived(asked[0].handle, "load", b"?", "p9", address(9), solo.now + 1.0)]
    assert serf_news(solo) == [query(payload=b"?", flags=1)]
    assert not of(solo.tell_serf(query(payload=b"?", flags=1)), QueryArrived)
    solo.quiet()
    effects = solo.step(AnswerQuery(asked[0].handle, b"0.7"))
    assert sent_serf(effects, to=9) == [QueryResponse(5, 77, "p1", 0, b"0.7")]
    assert not solo.step(AnswerQuery(asked[0].handle, b"again"))


def test_a_late_answer_goes_nowhere_and_a_large_one_is_an_error() -> None:
    solo = Solo(1)
    handle = of(solo.tell_serf(query()), QueryArrived)[0].handle
    with pytest.raises(ValueError, match="1025 bytes"):
        solo.step(AnswerQuery(handle, b"x" * 1025))
    solo.wait(1.1)
    assert not solo.step(AnswerQuery(handle, b"late"))


def test_a_query_that_is_not_to_be_passed_on() -> None:
    solo = Solo(1)
    solo.tell_serf(query(flags=2))
    assert not serf_news(solo)


FILTERS: list[tuple[list[NodeFilter | TagFilter], bool]] = [
    ([NodeFilter(("p1", "p7"))], True),
    ([NodeFilter(("p7",))], False),
    ([TagFilter("role", "^serv")], True),
    ([TagFilter("role", "client")], False),
    ([TagFilter("none", "^$")], True),
    ([TagFilter("none", ".")], False),
    ([NodeFilter(("p1",)), TagFilter("role", "client")], False),
    ([TagFilter("role", "(unclosed")], False),
]


@pytest.mark.parametrize(("filters", "asked"), FILTERS)
def test_filters(filters: list[NodeFilter | TagFilter], asked: bool) -> None:
    solo = Solo(1)
    encoded = tuple(map(CODEC.encode_filter, filters))
    effects = solo.tell_serf(query(filters=encoded, flags=1))
    assert bool(of(effects, QueryArrived)) is asked
    assert bool(sent_serf(effects, to=9)) is asked
    assert len(serf_news(solo)) == 1, "passed on all the same"


def test_answers_may_take_a_detour() -> None:
    solo = Solo(5)
    solo.tell_serf(query(relay_factor=2))
    handle = of(solo.effects, QueryArrived)[0].handle
    effects = solo.step(AnswerQuery(handle, b"x"))
    relayed = [m for m in sent_serf(effects) if isinstance(m, Relay)]
    assert [(r.destination, r.destination_node) for r in relayed] == [(address(9), "p9")] * 2
    assert CODEC.decode_serf(relayed[0].inner) == QueryResponse(5, 77, "p1", 0, b"x")
    # And the other side: what is to be relayed goes on as it is.
    assert sent_serf(Solo(1).tell_serf(relayed[0]), to=9) == [QueryResponse(5, 77, "p1", 0, b"x")]


@pytest.mark.parametrize("factor", [-1, 0])
def test_no_detour_if_none_is_asked_for(factor: int) -> None:
    solo = Solo(5)
    effects = solo.tell_serf(query(relay_factor=factor, flags=1))
    assert not [m for m in sent_serf(effects) if isinstance(m, Relay)]


def test_open_queries_have_a_limit() -> None:
    solo = Solo(1, msgspec.structs.replace(LAN, queries_max=5))
    for number in range(9):
        solo.tell_serf(query(id=number))
    handles = [q.handle for q in of(solo.effects, QueryArrived)]
    answered = [bool(solo.step(AnswerQuery(handle, b""))) for handle in handles]
    assert answered == [False] * 4 + [True] * 5


# -- internal queries ------------------------------------------------------------------------------


def test_a_ping_query_is_only_acknowledged() -> None:
    solo = Solo(1)
    effects = solo.tell_serf(query(name="_serf_ping", flags=1))
    assert sent_serf(effects, to=9) == [QueryResponse(5, 77, "p1", 1)]
    assert not of(effects, QueryArrived)


def test_an_internal_query_that_nobody_knows_is_refused() -> None:
    assert "UNEXPECTED" in refusals(Solo(1).tell_serf(query(name="_serf_new")))


@pytest.mark.parametrize(("name", "found"), [("p2", True), ("p8", False), ("p1", None)])
def test_a_question_about_a_name(name: str, found: bool | None) -> None:
    solo = Solo(1)
    effects = solo.tell_serf(query(name="_serf_conflict", payload=name.encode()))
    answers = [m.payload for m in sent_serf(effects, to=9) if isinstance(m, QueryResponse)]
    if found is None:
        assert not answers, "the named member itself is silent"
        return
    response = CODEC.decode_serf(answers[0] or b"")
    assert isinstance(response, ConflictResponse)
    assert (response.member is not None) is found
    if response.member is not None:
        assert response.member.address == address(2)


@pytest.mark.parametrize("action", list(KeyAction))
def test_key_queries_go_to_the_runtime(action: KeyAction) -> None:
    solo = Solo(1)
    key = b"" if action is KeyAction.LIST else b"k" * 32
    payload = CODEC.encode_serf(KeyRequest(key))
    asked = of(solo.tell_serf(query(name=action.value, payload=payload)), KeyChangeAsked)[0]
    assert (asked.action, asked.key, asked.source_node) == (action, key, "p9")
    answer = KeyResponse(True, "", ("a",), "a")
    effects = solo.step(AnswerKeyQuery(asked.handle, answer))
    response = sent_serf(effects, to=9)[0]
    assert isinstance(response, QueryResponse)
    assert CODEC.decode_serf(response.payload or b"") == answer


def test_a_long_list_of_keys_is_cut_and_says_so() -> None:
    solo = Solo(1)
    payload = CODEC.encode_serf(KeyRequest())
    effects = solo.tell_serf(query(name="_serf_list-keys", payload=payload))
    keys = tuple(f"{number:044}" for number in range(100))
    effects = solo.step(
        AnswerKeyQuery(of(effects, KeyChangeAsked)[0].handle, KeyResponse(True, "", keys, keys[0]))
    )
    response = sent_serf(effects, to=9)[0]
    assert isinstance(response, QueryResponse)
    assert len(CODEC.encode_serf(response)) <= 1024
    cut = CODEC.decode_serf(response.payload or b"")
    assert isinstance(cut, KeyResponse)
    assert cut.keys is not None
    assert 10 < len(cut.keys) < 30
    assert cut.message == f"Truncated key list response, showing first {len(cut.keys)} of 100 keys"


@pytest.mark.parametrize("payload", [b"\xff", CODEC.encode_serf(UserEvent(1, "x"))])
def test_a_key_query_with_bad_bytes_is_refused(payload: bytes) -> None:
    effects = Solo(1).tell_serf(query(name="_serf_use-key", payload=payload))
    assert refusals(effects)
    assert not of(effects, KeyChangeAsked)


# -- questions of our own --------------------------------------------------------------------------


def test_a_question_of_our_own() -> None:
    solo = Solo(3)
    effects = solo.step(SendQuery("h", "load", b"?", wants_acks=True, timeout_s=2.0))
    asked = next(m for m in serf_news(solo) if isinstance(m, Query))
    assert (asked.ltime, asked.address, asked.flags) == (1, address(1), 1)
    assert asked.timeout_ns == 2 * 10**9
    # The asker counts as well, and answers itself without a packet.
    assert of(effects, QueryAcked) == [QueryAcked("h", "p1")]
    handle = of(effects, QueryArrived)[0].handle
    assert of(solo.step(AnswerQuery(handle, b"me")), QueryAnswered) == [
        QueryAnswered("h", "p1", b"me")
    ]
    ack = QueryResponse(asked.ltime, asked.id, "p2", 1)
    answer = QueryResponse(asked.ltime, asked.id, "p3", 0, b"x")
    assert of(solo.tell_serf(ack), QueryAcked) == [QueryAcked("h", "p2")]
    assert of(solo.tell_serf(answer), QueryAnswered) == [QueryAnswered("h", "p3", b"x")]
    # Copies by other ways, and answers to something else.
    assert not solo.tell_serf(answer)
    assert not solo.tell_serf(QueryResponse(asked.ltime, asked.id + 1, "p4"))
    assert of(solo.wait(2.0), QueryDone) == [QueryDone("h", ("p1", "p2"), ("p1", "p3"))]
    assert not solo.tell_serf(QueryResponse(asked.ltime, asked.id, "p4"))
    assert not len(solo.node.asked)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"payload": b"x" * 1100}, "the limit is 1024"),
        ({"relay_factor": 256}, "relay_factor"),
    ],
)
def test_questions_that_cannot_be_asked(fields: dict[str, Any], message: str) -> None:
    solo = Solo(1)
    with pytest.raises(ValueError, match=message):
        solo.step(SendQuery("h", "load", **fields))
    assert solo.node.query_clock.time == 1
    assert not len(solo.node.asked)


def test_our_own_questions_have_a_limit() -> None:
    solo = Solo(1, msgspec.structs.replace(LAN, queries_max=2))
    for _ in range(2):
        solo.step(SendQuery("h", "x"))
    with pytest.raises(ValueError, match="2 queries are open"):
        solo.step(SendQuery("h", "x"))
    solo.wait(60.0)
    solo.step(SendQuery("h", "x"))


@pytest.mark.parametrize(("members", "seconds"), [(1, 3.2), (5, 3.2), (10, 6.4), (1000, 12.8)])
def test_default_timeout(members: int, seconds: float) -> None:
    assert default_timeout_s(0.2, 16, members) == pytest.approx(seconds)


def test_events_and_queries_reach_a_pool_once_through_a_bad_network() -> None:
    pool = Pool(3, weather=Weather(loss=0.05, duplicate=0.2))
    pool.grow(10)
    pool.run_until(pool.agrees, 30.0)
    pool.run(2.0)
    asker = pool.hosts["s3"]
    pool.step(asker, SendUserEvent("hello"))
    pool.step(asker, SendQuery("q", "load", wants_acks=True, relay_factor=2))
    pool.run(60.0)
    for host in pool.up():
        assert pool.events(host.name) == ["hello"], "by gossip, or by an exchange later"
    done = asker.of(QueryDone)[0]
    assert len(set(done.acked)) == len(done.acked) >= 9


def test_a_serf_message_by_stream_counts_as_well() -> None:
    solo = Solo(1)
    event = User(CODEC.encode_serf(UserEvent(5, "big")))
    effects = solo.step(StreamReceived("s", address(9), event))
    assert arrived(effects) == [("big", 5)]
    assert reply(effects) is None


def test_a_question_from_an_impostor_does_not_reach_our_own_answers() -> None:
    """Somebody asks in our name but wants the answers elsewhere."""
    solo = Solo(1)
    effects = solo.tell_serf(query(source_node="p1", flags=1))
    assert sent_serf(effects, to=9) == [QueryResponse(5, 77, "p1", 1)]
    assert alive("p1").node == solo.node.name
