"""The golden bytes of memberlist and Serf, and what their fields mean to us.

Written on its own from docs/wire.md#gossip-messages, #push-pull and #serf-messages: a twin of the
tables in `quorate.wire`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from wire_vectors import load

from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    ConflictMember,
    ConflictResponse,
    Dead,
    EventsAt,
    IndirectPing,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    Message,
    Nack,
    Ping,
    PushPull,
    PushPullNode,
    Query,
    QueryResponse,
    Relay,
    RemoteError,
    SerfMessage,
    SerfPushPull,
    Suspect,
    User,
    UserEvent,
    Versions,
)

MEMBERLIST: list[dict[str, Any]] = load("memberlist-packets")["vectors"]
SERF: list[dict[str, Any]] = load("serf-messages")["vectors"]


def raw(given: Any) -> bytes | None:
    """A byte string of a vector; captures give printable ones as text."""
    if given is None or isinstance(given, bytes):
        return given
    return given.encode() if isinstance(given, str) else bytes.fromhex(given["bytes_hex"])


def address(ip: Any, port: int) -> Address:
    """An address of a vector."""
    packed = raw(ip)
    assert packed is not None
    return Address(str(ip_address(packed)), port)


def versions(given: Any) -> Versions | None:
    """`Vsn` of a vector."""
    packed = raw(given)
    return Versions(*packed) if packed else None


def source(fields: dict[str, Any]) -> Address | None:
    """SourceAddr and SourcePort."""
    if "SourceAddr" not in fields:
        return None
    return address(fields["SourceAddr"], fields.get("SourcePort", 0))


def message_of(kind: int, f: dict[str, Any]) -> Message:
    """The memberlist message that a vector's fields describe."""
    match kind:
        case 0:
            return Ping(f["SeqNo"], f["Node"], source(f), f.get("SourceNode", ""))
        case 1:
            target = address(f["Target"], f["Port"])
            node = f.get("SourceNode", "")
            return IndirectPing(f["SeqNo"], target, f["Node"], f["Nack"], source(f), node)
        case 2:
            return Ack(f["SeqNo"], raw(f["Payload"]))
        case 3:
            return Suspect(f["Incarnation"], f["Node"], f["From"])
        case 4:
            where = address(f["Addr"], f["Port"])
            return Alive(f["Incarnation"], f["Node"], where, raw(f["Meta"]), versions(f["Vsn"]))
        case 5:
            return Dead(f["Incarnation"], f["Node"], f["From"])
        case 6:
            return PushPull(f["Join"], tuple(map(node_of, f["nodes"])), raw_state(f))
        case 8:
            return User(raw(f["payload"]) or b"")
        case 11:
            return Nack(f["SeqNo"])
        case 13:
            return RemoteError(f["Error"])
    raise AssertionError(kind)


def raw_state(fields: dict[str, Any]) -> bytes:
    """The user state of a push-pull, which vectors without one leave out."""
    return raw(fields.get("user_state")) or b""


def node_of(f: dict[str, Any]) -> PushPullNode:
    """One member of a push-pull."""
    where = address(f["Addr"], f["Port"])
    meta, vsn = raw(f["Meta"]), versions(f["Vsn"])
    return PushPullNode(f["Name"], where, meta, f["Incarnation"], f["State"], vsn)


def serf_of(kind: int, f: Any) -> SerfMessage:
    """The Serf message that a vector's fields describe."""
    match kind:
        case 0:
            return LeaveIntent(f["LTime"], f["Node"], f.get("Prune", False))
        case 1:
            return JoinIntent(f["LTime"], f["Node"])
        case 2:
            return state_of(f)
        case 3:
            return UserEvent(f["LTime"], f["Name"], raw(f["Payload"]), f["CC"])
        case 4:
            return query_of(f)
        case 5:
            return QueryResponse(f["LTime"], f["ID"], f["From"], f["Flags"], raw(f["Payload"]))
        case 6:
            return ConflictResponse(member_of(f))
        case 7:
            return KeyRequest(raw(f["Key"]) or b"")
        case 8:
            keys = None if f["Keys"] is None else tuple(f["Keys"])
            return KeyResponse(f["Result"], f["Message"], keys, f.get("PrimaryKey"))
    raise AssertionError(kind)


def state_of(f: dict[str, Any]) -> SerfPushPull:
    """Serf's part of a push-pull; captures give the ring of events in short."""
    given = f["Events"]
    if isinstance(given, dict):
        slots: list[Any] = [None] * given["length"]
        for slot in given["non_nil"]:
            slots[slot["LTime"] % given["length"]] = slot
    else:
        slots = given
    return SerfPushPull(
        ltime=f["LTime"],
        status_ltimes=f["StatusLTimes"],
        left_members=tuple(f["LeftMembers"]),
        event_ltime=f["EventLTime"],
        events=tuple(slot and slot_of(slot) for slot in slots),
        query_ltime=f["QueryLTime"],
    )


def slot_of(slot: dict[str, Any]) -> EventsAt:
    """One slot of the ring of user events."""
    return EventsAt(slot["LTime"], tuple((e["Name"], raw(e["Payload"])) for e in slot["Events"]))


def query_of(f: dict[str, Any]) -> Query:
    """A query."""
    filters = None if f["Filters"] is None else tuple(raw(x) or b"" for x in f["Filters"])
    return Query(
        ltime=f["LTime"],
        id=f["ID"],
        address=address(f["Addr"], f["Port"]),
        source_node=f["SourceNode"],
        name=f["Name"],
        payload=raw(f["Payload"]),
        filters=filters,
        flags=f["Flags"],
        relay_factor=f["RelayFactor"],
        timeout_ns=f["Timeout"],
    )


def member_of(f: Any) -> ConflictMember | None:
    """The member in a conflict response."""
    if f is None:
        return None
    kinds = [p + k for p in ("Protocol", "Delegate") for k in ("Min", "Max", "Cur")]
    vsn = Versions(*[f[k] for k in kinds])
    return ConflictMember(f["Name"], address(f["Addr"], f["Port"]), f["Tags"], f["Status"], vsn)


def relay_of(f: dict[str, Any]) -> Relay:
    """A relay; its vector names the vector of the inner message."""
    where = address(f["DestAddr"]["IP"], f["DestAddr"]["Port"])
    (inner,) = (bytes.fromhex(v["hex"]) for v in SERF if v["name"] == f["inner"])
    return Relay(where, f["DestName"], inner)


class Captured:
    """One recorded packet or direction of a stream, and how it was read then."""

    def __init__(self, data: str, decoded: Any, key: bytes | None, label: bytes) -> None:
        self.data = bytes.fromhex(data)
        self.decoded = decoded
        self.key = key
        self.label = label


CAPTURES = (
    "capture-serf",
    "capture-serf-encrypted",
    "capture-serf-failure",
    "capture-nomad-protocol2-with-serf-agent",
    "capture-nomad-protocol3",
    "capture-nomad-tls-encrypted",
)


def _parts_of(name: str) -> Iterator[tuple[dict[str, Any], bytes | None, bytes]]:
    """The recordings of a file: where streams and datagrams stand, with key and label."""
    content = load(name)
    if name == "capture-memberlist-label":
        yield content["plain"], None, b"blue"
        yield content["encrypted"], bytes.fromhex(content["key_hex"]), b"blue"
        return
    key = content.get("gossip_key_hex") or (content.get("keys_hex") or [None])[0]
    yield content, bytes.fromhex(key) if key else None, b""


def captured_packets() -> Iterator[tuple[str, Captured]]:
    """Every recorded packet."""
    for name in (*CAPTURES, "capture-memberlist-label"):
        for content, key, label in _parts_of(name):
            grams = content.get("datagrams") or content.get("gossip_datagrams") or ()
            for number, gram in enumerate(grams):
                decoded = gram.get("decoded") or {}
                sealed = decoded.get("encrypted")
                used = bytes.fromhex(sealed["key_hex"]) if sealed else key
                yield f"{name}-{number}", Captured(gram["hex"], decoded, used, label)


def captured_streams() -> Iterator[tuple[str, bool, Captured]]:
    """Every recorded direction of a stream that carried something: a name, is it the dialler's."""
    for name in (*CAPTURES, "capture-memberlist-label"):
        for content, key, label in _parts_of(name):
            streams = content.get("streams") or content.get("gossip_streams") or ()
            for number, stream in enumerate(streams):
                for way in ("c>s", "s>c"):
                    data = "".join(e["hex"] for e in stream["events"] if e["dir"] == way)
                    decoded = (stream.get("decoded") or {}).get(way)
                    if data:
                        one = Captured(data, decoded, key, label)
                        yield f"{name}-{number}-{way}", way == "c>s", one
