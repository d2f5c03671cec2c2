"""Attacks on gossip by packets and streams, in a pool without a key: any may be a member's."""

from __future__ import annotations

import random
from functools import cache

from attack_aim import Aim, Port, Target
from attack_gossip_members import (
    HIGHEST,
    LINES,
    MEMBERS,
    STRANGER,
    packets,
    raw,
    serf,
    stream,
    streams,
    tags,
)
from attack_values import Attack

from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Coordinate,
    Dead,
    EventsAt,
    IndirectPing,
    LeaveIntent,
    Message,
    Nack,
    Ping,
    PushPull,
    Query,
    QueryResponse,
    Relay,
    SerfPushPull,
    TagFilter,
    User,
    UserEvent,
    Versions,
)
from quorate.wire import gossip
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist.packet import compound

KINDS = bytes(range(20))

# -- what a query may cost -------------------------------------------------------------------------


def _query(number: int, name: str, *filters: bytes, payload: bytes = b"") -> User:
    return serf(
        Query(
            ltime=1000 + number,
            id=number & HIGHEST,
            address=STRANGER,
            source_node="evil",
            name=name,
            payload=payload,
            filters=filters,
            timeout_ns=10**9,
            flags=1,
            relay_factor=5,
        )
    )


def _query_filters(_: Target, number: int) -> list[Message]:
    expressions = ["(a*)*(a*)*(a*)*b", "((x{9}){9}){5}", ".*.*.*.*.*.*=", "(?i)(a|aa)+$" * 20]
    filters = [gossip.encode_filter(TagFilter("role", e)) for e in expressions]
    return [_query(number, "q", *filters, *filters)]


def _key_queries(_: Target, number: int) -> list[Message]:
    names = ["install-key", "use-key", "remove-key", "list-keys", "conflict", "ping"]
    payload = gossip.encode_serf(LeaveIntent(1, "s0.global"))
    return [_query(number, f"_serf_{names[number % 6]}", payload=payload)]


def _answers(_: Target, number: int) -> list[Message]:
    return [serf(QueryResponse(number % 50, number % 50, "evil", number % 2, b"x" * 1000))]


# -- bytes -----------------------------------------------------------------------------------------


def bomb(data: bytes) -> bytes:
    """A compressed message, in its frame."""
    codes = lzw.compress(data)
    return b"\x09\x82\xa4Algo\x00\xa3Buf\xc5" + len(codes).to_bytes(2, "big") + codes


@cache
def bombs() -> list[bytes]:
    """Made when they are needed: half a second of work."""
    return [bomb(bytes(60_000)), bomb(bytes(4_000_000)), bomb(random.Random(1).randbytes(10_500))]


def _bombs(_: Target, number: int) -> bytes:
    return bombs()[number % 3]


def _nested(depth: int) -> bytes:
    part = gossip.encode(Ping(1, "x"))
    for _ in range(depth):
        part = compound([part, part])
        if len(part) > 30_000:
            break
    return part


NESTS = [_nested(4), _nested(30), compound([compound([gossip.encode(Nack(1))] * 200)] * 40)]


def _nests(_: Target, number: int) -> bytes:
    return NESTS[number % 3]


def _oversized_tags(_: Target, number: int) -> bytes:
    sizes = [513, 2000, 30_000, 60_000]
    meta = b"\xff\x81\xa1a\xda" + sizes[number % 4].to_bytes(2, "big") + b"x" * sizes[number % 4]
    return gossip.encode(Alive(1, f"tags-{number % 8}.global", STRANGER, meta, Versions()))


def _crowded(_: Target, number: int) -> bytes:
    """As many messages as fit into a packet: members that are new, fail, and come back."""
    crowds = _crowds()
    return crowds[number % len(crowds)]


@cache
def _crowds() -> list[bytes]:
    names = [f"crowd-{each}.global" for each in range(200)]
    crowds: list[list[Message]] = []
    for level in range(1, 9):
        crowds.append([Alive(level, n, STRANGER, tags(level), Versions()) for n in names])
        crowds.append([Dead(level, n, "evil") for n in names])
    return [compound([gossip.encode(message) for message in messages]) for messages in crowds]


def _garbage(_: Target, number: int) -> bytes:
    source = random.Random(number)
    return bytes((KINDS[number % 20],)) + source.randbytes(1 + number * 7 % 1400)


def _coordinates(target: Target, number: int) -> list[Message]:
    """Answers to pings, with places that cannot be."""
    values = [float("nan"), float("inf"), 1e308, -1.0]
    value = values[number % 4]
    place = Coordinate((value,) * 8, value, value, value)
    payload = b"\x01" + gossip.encode_coordinate(place)
    return [Ack(sequence % 5000, payload) for sequence in range(number * 20, number * 20 + 20)]


def _third_parties(_: Target, number: int) -> list[Message]:
    """Have servers send to others."""
    other = Address("127.66.9.9", 1 + number % 60_000)
    inner = gossip.encode_serf(UserEvent(1, "x", b"y" * 500))
    return [
        IndirectPing(number & HIGHEST, other, "victim", wants_nack=True, source=other),
        Ping(number & HIGHEST, "", source=other),
        serf(Relay(other, "victim", inner)),
    ]


def _event_heap(_: Target, number: int) -> list[Message]:
    """Other events at few times: as many as can be remembered."""
    event = UserEvent(1 + number % 500, f"event-{number}", b"x" * 480, coalesce=False)
    return [serf(event)] * 2


def _user_events(_: Target, number: int) -> list[Message]:
    return [serf(UserEvent(number, f"event-{number}", b"x" * 480, coalesce=bool(number % 2)))]


# -- streams ---


def _stream_bombs(_: Target, number: int) -> bytes:
    size = 15 << 20 if number % 2 else 1 << 20
    if size not in _COMPRESSED:
        data = lzw.compress(b"\x06" + bytes(size))
        _COMPRESSED[size] = b"\x09\x82\xa4Algo\x00\xa3Buf\xc6" + len(data).to_bytes(4, "big") + data
    return _COMPRESSED[size]


_COMPRESSED: dict[int, bytes] = {}


def _lamport_times(_: Target, number: int) -> bytes:
    """No members, but Lamport times of tens of thousands, or as many user events."""
    states = _large_states()
    return states[number % len(states)]


@cache
def _large_states() -> list[bytes]:
    slots = tuple(EventsAt(time, tuple((f"e{n}", b"") for n in range(50))) for time in range(400))
    states = [
        SerfPushPull(1, {f"n{each}": 1 for each in range(16_000)}),
        SerfPushPull(1, {}, (), 1, slots),
        SerfPushPull(1, {f"n{each}": 1 for each in range(1500)}),
    ]
    return [stream(PushPull(False, (), gossip.encode_serf(state))) for state in states]


def _silent(aim: Aim) -> None:
    aim.hold(Port.STREAM, 60, lambda _t, _n: b"\x06\x83\xa4Join", b"\xc3")


def _unfinished(aim: Aim) -> None:
    head = b"\x08\x81\xaaUserMsgLen\xce\x00\xff\x00\x00"
    aim.pour(Port.STREAM, head, bytes(1 << 18))


def _many_nodes(_: Target, number: int) -> bytes:
    head = b"\x06\x83\xa4Join\xc3\xa5Nodes\xcd\x40\x00\xacUserStateLen\x00"
    return head + b"\x80" * 16_384 if number % 2 else head + b"\x81\xa4Name\xa1x" * 16_384


def _stream_garbage(_: Target, number: int) -> bytes:
    return bytes((KINDS[number % 20],)) + random.Random(number).randbytes(20_000)


GOSSIP = [
    Attack("query filters", Port.PACKET, packets(_query_filters), "all servers hang for 50 s"),
    Attack("LZW bombs", Port.PACKET, raw(_bombs), "11 ms a packet"),
    Attack("crowded packets", Port.PACKET, raw(_crowded), log_bytes=LINES),
    Attack("nests", Port.PACKET, raw(_nests)),
    Attack("oversized tags", Port.PACKET, raw(_oversized_tags)),
    Attack("garbage packets", Port.PACKET, raw(_garbage)),
    Attack("coordinates", Port.PACKET, packets(_coordinates)),
    Attack("third parties", Port.PACKET, packets(_third_parties)),
    Attack("user events", Port.PACKET, packets(_user_events)),
    Attack("heaps of events", Port.PACKET, packets(_event_heap)),
    Attack("key queries", Port.PACKET, packets(_key_queries)),
    Attack("forged answers", Port.PACKET, packets(_answers)),
    Attack("silent streams", Port.STREAM, _silent),
    Attack("unfinished streams", Port.STREAM, _unfinished),
    Attack("stream bombs", Port.STREAM, streams(_stream_bombs), everyday=True),
    Attack("Lamport times", Port.STREAM, streams(_lamport_times)),
    Attack("many nodes", Port.STREAM, streams(_many_nodes)),
    Attack("garbage streams", Port.STREAM, streams(_stream_garbage)),
    *MEMBERS,
]
