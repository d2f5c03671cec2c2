"""Whatever comes in: nothing raises, nothing outgrows its limit, the member itself stays sane."""

from __future__ import annotations

from typing import Any

import msgspec
from gossip_solo import CODEC, Solo, address, of
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.gossip import LAN
from quorate.gossip.effects import SendPacket
from quorate.gossip.events import (
    AnswerKeyQuery,
    AnswerQuery,
    Event,
    PacketReceived,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
)
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    ConflictResponse,
    Coordinate,
    Dead,
    EventsAt,
    IndirectPing,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    Nack,
    NodeFilter,
    Ping,
    PushPull,
    PushPullNode,
    Query,
    QueryResponse,
    Relay,
    RemoteError,
    SerfPushPull,
    Suspect,
    TagFilter,
    User,
    UserEvent,
    Versions,
)

LIMITS = msgspec.structs.replace(
    LAN, members_max=8, queue_max=16, intents_max=8, forgotten_max=8, queries_max=8
)
NAMES = st.sampled_from(["p1", "p2", "p3", "p4", "", "x" * 300, *(f"n{n}" for n in range(20))])
NUMBERS = st.one_of(st.integers(0, 8), st.integers(-(1 << 63), (1 << 64) - 1))
ADDRESSES = st.one_of(st.builds(address, st.integers(1, 5)), st.just(Address("", 0)))
FLOATS = st.floats()
BLOB = st.one_of(st.none(), st.binary(max_size=20), st.binary(min_size=600, max_size=700))
META = st.one_of(st.none(), st.sampled_from([b"\x80", b"\xff"]), st.binary(max_size=5))
VERSIONS = st.one_of(st.none(), st.builds(Versions), st.builds(Versions, *[st.integers(0, 6)] * 6))
COORDINATES = st.builds(
    Coordinate, st.lists(FLOATS, max_size=9).map(tuple), FLOATS, FLOATS, FLOATS
).map(CODEC.encode_coordinate)
FILTERS = st.one_of(
    st.binary(max_size=8),
    st.builds(NodeFilter, st.tuples(NAMES)).map(CODEC.encode_filter),
    st.builds(TagFilter, st.just("role"), st.text("s(e*[r|)]^$+\\d", max_size=12)).map(
        CODEC.encode_filter
    ),
)
KEYS = st.sampled_from(
    [*(f"_serf_{n}-key" for n in ("install", "use", "remove")), "_serf_list-keys", "_serf_ping"]
)
QUERIES = st.builds(
    Query,
    *(NUMBERS, NUMBERS, ADDRESSES, NAMES),
    name=st.one_of(KEYS, st.just("_serf_conflict"), st.just("_serf_"), NAMES),
    payload=BLOB,
    filters=st.one_of(st.none(), st.lists(FILTERS, max_size=2).map(tuple)),
    flags=st.integers(0, 9),
    relay_factor=st.integers(-1, 255),
    timeout_ns=st.integers(-(1 << 63), (1 << 63) - 1),
)
SERF: st.SearchStrategy[Any] = st.one_of(
    st.builds(LeaveIntent, NUMBERS, NAMES, st.booleans()),
    st.builds(JoinIntent, NUMBERS, NAMES),
    st.builds(UserEvent, NUMBERS, NAMES, BLOB, st.booleans()),
    QUERIES,
    st.builds(QueryResponse, NUMBERS, NUMBERS, NAMES, st.integers(0, 3), BLOB),
    st.builds(ConflictResponse, st.none()),
    st.builds(KeyRequest),
    st.builds(KeyResponse, st.booleans()),
    st.builds(Relay, ADDRESSES, NAMES, st.binary(max_size=2000)),
    st.builds(
        SerfPushPull,
        NUMBERS,
        st.dictionaries(NAMES, NUMBERS, max_size=4),
        st.lists(NAMES, max_size=4).map(tuple),
        NUMBERS,
        st.lists(
            st.one_of(
                st.none(),
                st.builds(
                    EventsAt, NUMBERS, st.lists(st.tuples(NAMES, BLOB), max_size=3).map(tuple)
                ),
            ),
            max_size=3,
        ).map(tuple),
        NUMBERS,
    ),
).map(CODEC.encode_serf)
NODES = st.builds(PushPullNode, NAMES, ADDRESSES, META, NUMBERS, st.integers(-1, 5), VERSIONS)
MESSAGES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Ping, NUMBERS, NAMES, st.one_of(st.none(), ADDRESSES), NAMES),
    st.builds(IndirectPing, NUMBERS, ADDRESSES, NAMES, st.booleans()),
    st.builds(Ack, st.integers(0, 40), st.one_of(BLOB, COORDINATES)),
    st.builds(Nack, st.integers(0, 40)),
    st.builds(Suspect, NUMBERS, NAMES, NAMES),
    st.builds(Alive, NUMBERS, NAMES, ADDRESSES, META, VERSIONS),
    st.builds(Dead, NUMBERS, NAMES, NAMES),
    st.builds(User, st.one_of(SERF, st.binary(max_size=10))),
    st.builds(RemoteError, st.text(max_size=5)),
    st.builds(
        PushPull,
        st.booleans(),
        st.lists(NODES, max_size=12).map(tuple),
        st.one_of(SERF, st.binary(max_size=5), st.just(b"")),
    ),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(PacketReceived, ADDRESSES, st.lists(MESSAGES, min_size=1, max_size=5).map(tuple)),
    st.builds(PacketReceived, ADDRESSES, st.lists(MESSAGES, min_size=1, max_size=5).map(tuple)),
    st.builds(StreamReceived, st.just("s"), ADDRESSES, MESSAGES),
    st.builds(StreamAnswered, st.integers(1, 20), MESSAGES),
    st.builds(StreamFailed, st.integers(1, 20), st.just("no")),
    st.builds(AnswerQuery, st.integers(1, 9), st.binary(max_size=9)),
    st.builds(AnswerKeyQuery, st.integers(1, 9), st.builds(KeyResponse, st.booleans())),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 2)), max_size=25))
def test_nothing_raises_and_nothing_outgrows_its_limit(
    happenings: list[tuple[Event, float]],
) -> None:
    solo = Solo(3, LIMITS)
    # Acks and nacks shall meet what waits for them.
    solo.node._sequence = 0
    for event, pause in happenings:
        solo.step(event)
        solo.wait(pause)
        assert solo.state("p1") == "ALIVE"
        assert solo.status("p1") == "ALIVE"
    node = solo.node
    assert node.address == address(1)
    assert node.incarnation < 1 << 32
    assert len(node.table) <= LIMITS.members_max
    assert max(map(len, node.queues)) <= LIMITS.queue_max
    assert len(node.roster.intents) <= LIMITS.intents_max
    assert len(node.awaiting) < 100
    assert max(node.clocks()) <= 1 << 63
    for packet in of(solo.effects, SendPacket):
        assert 0 < len(packet.parts) <= 127


def test_ten_thousand_names_leave_no_trace() -> None:
    """A flooder invents members, and kills them to make room for more."""
    solo = Solo(2, msgspec.structs.replace(LIMITS, members_max=50, gossip_to_the_dead_s=1.0))
    for number in range(10_000):
        name = f"f{number}"
        solo.tell(Alive(1, name, address(9), b"\x80", Versions()), Dead(1, name, "p2"))
        if not number % 20:
            solo.wait(1.2)
            solo.node.table._new_round(solo.node.prober._is_expired)
    assert len(solo.node.table) <= 50
    assert len(solo.node.roster.members) <= 50
    assert solo.status("p1") == "ALIVE"
    assert not solo.status("f0")
