"""The messages of Serf: its own type byte and one map with sorted keys.

See docs/wire.md#serf-messages and #events-and-queries.

They travel in memberlist's user messages, in the user state of push-pulls, and as payloads of
Serf's internal queries. The order of names in `StatusLTimes` and `Tags` is that of our
dictionaries; in Go it is random, so nobody may depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import msgpack

from quorate.gossip.messages import (
    Address,
    ConflictMember,
    ConflictResponse,
    EventsAt,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    Query,
    QueryResponse,
    Relay,
    SerfMessage,
    SerfPushPull,
    UserEvent,
    Versions,
)
from quorate.wire.go.fields import pack_optional_bytes, read_int, read_optional_bytes, read_text
from quorate.wire.go.fields import read_uint as read_uint64
from quorate.wire.go.msgpack import (
    LIMITS,
    MAX_ITEMS,
    NIL,
    UNPACK_ERRORS,
    ItemCounter,
    array_header,
    bad_frame,
    pack_bool,
    pack_int,
    pack_raw,
    pack_uint,
    undecodable,
)
from quorate.wire.memberlist.fields import (
    UINT8_MAX,
    UINT16_MAX,
    UINT32_MAX,
    Fields,
    fields_of,
    pack_ip,
    pack_long_map,
    pack_map,
    pack_string,
)

MEMBERS_MAX: Final = 65_536
"""Most members in one exchange of states."""

EVENTS_MAX: Final = 512
"""Slots in the ring of user events; a longer array is no ring."""

STATUS_MAX: Final = 4


class SerfKind(IntEnum):
    """Serf's type byte."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


# -- writing -----------------------------------------------------------------------------------


def _leave(message: LeaveIntent) -> bytes:
    return pack_map(
        (b"LTime", pack_uint(message.ltime)),
        (b"Node", pack_string(message.node)),
        (b"Prune", pack_bool(message.prune)),
    )


def _join(message: JoinIntent) -> bytes:
    return pack_map((b"LTime", pack_uint(message.ltime)), (b"Node", pack_string(message.node)))


def _array(items: list[bytes]) -> bytes:
    return array_header(len(items)) + b"".join(items)


def _events_at(slot: EventsAt | None) -> bytes:
    if slot is None:
        return NIL
    events = [
        pack_map((b"Name", pack_string(name)), (b"Payload", pack_optional_bytes(payload)))
        for name, payload in slot.events
    ]
    return pack_map((b"Events", _array(events)), (b"LTime", pack_uint(slot.ltime)))


def _push_pull(message: SerfPushPull) -> bytes:
    times = [(name, pack_uint(ltime)) for name, ltime in message.status_ltimes.items()]
    return pack_map(
        (b"EventLTime", pack_uint(message.event_ltime)),
        (b"Events", _array([_events_at(slot) for slot in message.events])),
        (b"LTime", pack_uint(message.ltime)),
        (b"LeftMembers", _array([pack_string(name) for name in message.left_members])),
        (b"QueryLTime", pack_uint(message.query_ltime)),
        (b"StatusLTimes", pack_long_map(times)),
    )


def _user_event(message: UserEvent) -> bytes:
    return pack_map(
        (b"CC", pack_bool(message.coalesce)),
        (b"LTime", pack_uint(message.ltime)),
        (b"Name", pack_string(message.name)),
        (b"Payload", pack_optional_bytes(message.payload)),
    )


def _query(message: Query) -> bytes:
    filters = message.filters
    return pack_map(
        (b"Addr", pack_ip(message.address.host)),
        (b"Filters", NIL if filters is None else _array([pack_raw(f) for f in filters])),
        (b"Flags", pack_uint(message.flags)),
        (b"ID", pack_uint(message.id)),
        (b"LTime", pack_uint(message.ltime)),
        (b"Name", pack_string(message.name)),
        (b"Payload", pack_optional_bytes(message.payload)),
        (b"Port", pack_uint(message.address.port)),
        (b"RelayFactor", pack_uint(message.relay_factor)),
        (b"SourceNode", pack_string(message.source_node)),
        (b"Timeout", pack_int(message.timeout_ns)),
    )


def _query_response(message: QueryResponse) -> bytes:
    return pack_map(
        (b"Flags", pack_uint(message.flags)),
        (b"From", pack_string(message.sender)),
        (b"ID", pack_uint(message.id)),
        (b"LTime", pack_uint(message.ltime)),
        (b"Payload", pack_optional_bytes(message.payload)),
    )


def _conflict_response(message: ConflictResponse) -> bytes:
    member = message.member
    if member is None:
        return NIL
    versions = member.versions
    return pack_map(
        (b"Addr", pack_ip(member.address.host)),
        (b"DelegateCur", pack_uint(versions.delegate_current)),
        (b"DelegateMax", pack_uint(versions.delegate_max)),
        (b"DelegateMin", pack_uint(versions.delegate_min)),
        (b"Name", pack_string(member.name)),
        (b"Port", pack_uint(member.address.port)),
        (b"ProtocolCur", pack_uint(versions.protocol_current)),
        (b"ProtocolMax", pack_uint(versions.protocol_max)),
        (b"ProtocolMin", pack_uint(versions.protocol_min)),
        (b"Status", pack_int(member.status)),
        (b"Tags", pack_long_map([(k, pack_string(v)) for k, v in member.tags.items()])),
    )


def _key_request(message: KeyRequest) -> bytes:
    return pack_map((b"Key", pack_raw(message.key)))


def _key_response(message: KeyResponse) -> bytes:
    keys, primary = message.keys, message.primary_key
    return pack_map(
        (b"Keys", NIL if keys is None else _array([pack_string(key) for key in keys])),
        (b"Message", pack_string(message.message)),
        *([] if primary is None else [(b"PrimaryKey", pack_string(primary))]),
        (b"Result", pack_bool(message.result)),
    )


def _relay(message: Relay) -> bytes:
    address = pack_map(
        (b"IP", pack_ip(message.destination.host)),
        (b"Port", pack_int(message.destination.port)),
        (b"Zone", pack_string("")),
    )
    header = pack_map((b"DestAddr", address), (b"DestName", pack_string(message.destination_node)))
    return header + message.inner


_WRITERS: Final[dict[type, tuple[bytes, Callable[[Any], bytes]]]] = {
    cls: (bytes((kind,)), write)
    for cls, kind, write in (
        (LeaveIntent, SerfKind.LEAVE, _leave),
        (JoinIntent, SerfKind.JOIN, _join),
        (SerfPushPull, SerfKind.PUSH_PULL, _push_pull),
        (UserEvent, SerfKind.USER_EVENT, _user_event),
        (Query, SerfKind.QUERY, _query),
        (QueryResponse, SerfKind.QUERY_RESPONSE, _query_response),
        (ConflictResponse, SerfKind.CONFLICT_RESPONSE, _conflict_response),
        (KeyRequest, SerfKind.KEY_REQUEST, _key_request),
        (KeyResponse, SerfKind.KEY_RESPONSE, _key_response),
        (Relay, SerfKind.RELAY, _relay),
    )
}


def encode_serf(message: SerfMessage) -> bytes:
    """A message with Serf's type byte. Raises ValueError for an address that is no IP address."""
    head, write = _WRITERS[type(message)]
    return head + write(message)


# -- reading -----------------------------------------------------------------------------------


def _read_leave(fields: Fields) -> LeaveIntent:
    return LeaveIntent(fields.uint(b"LTime"), fields.text(b"Node"), fields.flag(b"Prune"))


def _read_join(fields: Fields) -> JoinIntent:
    return JoinIntent(fields.uint(b"LTime"), fields.text(b"Node"))


def _read_slot(value: Any) -> EventsAt | None:
    if value is None:
        return None
    fields = Fields(value, "user events")
    events = [Fields(event, "a user event") for event in fields.array(b"Events") or ()]
    return EventsAt(
        fields.uint(b"LTime"), tuple((e.text(b"Name"), e.optional(b"Payload")) for e in events)
    )


def _read_push_pull(fields: Fields) -> SerfPushPull:
    slots = fields.array(b"Events") or ()
    if len(slots) > EVENTS_MAX:
        raise bad_frame(f"{len(slots)} slots of user events; there are {EVENTS_MAX}")
    times = fields.value(b"StatusLTimes")
    if times is not None and type(times) is not dict:
        raise bad_frame("StatusLTimes is no map")
    return SerfPushPull(
        ltime=fields.uint(b"LTime"),
        status_ltimes={
            read_text(name, "a name in StatusLTimes"): read_uint64(ltime, "StatusLTimes")
            for name, ltime in (times or {}).items()
        },
        left_members=tuple(
            read_text(name, "LeftMembers") for name in fields.array(b"LeftMembers") or ()
        ),
        event_ltime=fields.uint(b"EventLTime"),
        events=tuple(map(_read_slot, slots)),
        query_ltime=fields.uint(b"QueryLTime"),
    )


def _read_user_event(fields: Fields) -> UserEvent:
    return UserEvent(
        ltime=fields.uint(b"LTime"),
        name=fields.text(b"Name"),
        payload=fields.optional(b"Payload"),
        coalesce=fields.flag(b"CC"),
    )


def _read_filter(value: Any) -> bytes:
    return read_optional_bytes(value, "a filter of a query") or b""


def _read_query(fields: Fields) -> Query:
    filters = fields.array(b"Filters")
    return Query(
        ltime=fields.uint(b"LTime"),
        id=fields.uint(b"ID", UINT32_MAX),
        address=fields.address(b"Addr", b"Port"),
        source_node=fields.text(b"SourceNode"),
        name=fields.text(b"Name"),
        payload=fields.optional(b"Payload"),
        filters=None if filters is None else tuple(map(_read_filter, filters)),
        flags=fields.uint(b"Flags", UINT32_MAX),
        relay_factor=fields.uint(b"RelayFactor", UINT8_MAX),
        timeout_ns=read_int(fields.value(b"Timeout"), "Timeout of a query"),
    )


def _read_query_response(fields: Fields) -> QueryResponse:
    return QueryResponse(
        ltime=fields.uint(b"LTime"),
        id=fields.uint(b"ID", UINT32_MAX),
        sender=fields.text(b"From"),
        flags=fields.uint(b"Flags", UINT32_MAX),
        payload=fields.optional(b"Payload"),
    )


def _read_conflict_member(fields: Fields) -> ConflictMember:
    tags = fields.value(b"Tags")
    if tags is not None and type(tags) is not dict:
        raise bad_frame("Tags of a member are no map")
    return ConflictMember(
        name=fields.text(b"Name"),
        address=fields.address(b"Addr", b"Port"),
        tags={
            read_text(key, "a tag's name"): read_text(value, "a tag")
            for key, value in (tags or {}).items()
        },
        status=fields.uint(b"Status", STATUS_MAX),
        versions=Versions(
            protocol_min=fields.uint(b"ProtocolMin", UINT8_MAX),
            protocol_max=fields.uint(b"ProtocolMax", UINT8_MAX),
            protocol_current=fields.uint(b"ProtocolCur", UINT8_MAX),
            delegate_min=fields.uint(b"DelegateMin", UINT8_MAX),
            delegate_max=fields.uint(b"DelegateMax", UINT8_MAX),
            delegate_current=fields.uint(b"DelegateCur", UINT8_MAX),
        ),
    )


def _read_key_request(fields: Fields) -> KeyRequest:
    return KeyRequest(fields.raw(b"Key"))


def _read_key_response(fields: Fields) -> KeyResponse:
    keys = fields.array(b"Keys")
    return KeyResponse(
        result=fields.flag(b"Result"),
        message=fields.text(b"Message"),
        keys=None if keys is None else tuple(read_text(key, "Keys") for key in keys),
        primary_key=None if fields.value(b"PrimaryKey") is None else fields.text(b"PrimaryKey"),
    )


_READERS: Final[dict[int, tuple[str, Callable[[Fields], SerfMessage]]]] = {
    SerfKind.LEAVE: ("a leave intent", _read_leave),
    SerfKind.JOIN: ("a join intent", _read_join),
    SerfKind.USER_EVENT: ("a user event", _read_user_event),
    SerfKind.QUERY: ("a query", _read_query),
    SerfKind.QUERY_RESPONSE: ("a response to a query", _read_query_response),
    SerfKind.KEY_REQUEST: ("a key request", _read_key_request),
    SerfKind.KEY_RESPONSE: ("a key response", _read_key_response),
}

# Names and times of all members stand in one map there.
_STATE_LIMITS: Final = {**LIMITS, "max_array_len": MEMBERS_MAX, "max_map_len": MEMBERS_MAX}


def _decode_push_pull(data: bytes) -> SerfPushPull:
    count = ItemCounter().count
    hooks: dict[str, Any] = {}
    if len(data) > MAX_ITEMS:
        hooks = {"object_hook": count, "list_hook": count}
    try:
        value = msgpack.unpackb(data, **_STATE_LIMITS, **hooks)
    except UNPACK_ERRORS as error:
        raise undecodable(error) from None
    return _read_push_pull(Fields(value, "Serf's part of a push-pull"))


def _decode_conflict_response(data: bytes) -> ConflictResponse:
    if data == NIL:
        return ConflictResponse(None)
    return ConflictResponse(_read_conflict_member(fields_of(data, "a conflict response")))


def _decode_relay(data: bytes) -> Relay:
    unpacker = msgpack.Unpacker(**LIMITS, read_size=4096, max_buffer_size=0)
    unpacker.feed(data)
    try:
        header = Fields(unpacker.unpack(), "a relay")
    except msgpack.OutOfData:
        raise bad_frame("a relay without its end") from None
    except UNPACK_ERRORS as error:
        raise undecodable(error) from None
    address = Fields(header.value(b"DestAddr"), "the destination of a relay")
    return Relay(
        destination=Address(address.ip(b"IP"), address.uint(b"Port", UINT16_MAX)),
        destination_node=header.text(b"DestName"),
        inner=data[unpacker.tell() :],
    )


_WHOLE_READERS: Final[dict[int, Callable[[bytes], SerfMessage]]] = {
    SerfKind.PUSH_PULL: _decode_push_pull,
    SerfKind.CONFLICT_RESPONSE: _decode_conflict_response,
    SerfKind.RELAY: _decode_relay,
}


def decode_serf(data: bytes) -> SerfMessage:
    """The message that is all of `data`. Raises BadFrame."""
    if not data:
        raise bad_frame("an empty Serf message")
    kind, body = data[0], data[1:]
    if (whole := _WHOLE_READERS.get(kind)) is not None:
        return whole(body)
    if (reader := _READERS.get(kind)) is None:
        raise bad_frame(f"unknown type byte {kind:#04x} of a Serf message")
    name, read = reader
    return read(fields_of(body, name))
