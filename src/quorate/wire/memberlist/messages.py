"""The messages of memberlist: a type byte and one map with sorted keys.

See docs/wire.md#gossip-messages and #push-pull.

Two have no map: a user message in a packet is its type byte and raw bytes. A push-pull and a user
message on a stream have maps and raw bytes behind them; `gossip_stream` finds their ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PushPull,
    PushPullNode,
    RemoteError,
    Suspect,
    User,
)
from quorate.wire.go.fields import pack_optional_bytes
from quorate.wire.go.msgpack import bad_frame, pack_bool, pack_int, pack_uint
from quorate.wire.memberlist.fields import (
    UINT32_MAX,
    Fields,
    fields_of,
    pack_ip,
    pack_map,
    pack_string,
    pack_versions,
)


class Kind(IntEnum):
    """The type byte of a message, or of a layer around messages."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    CRC = 12
    ERROR = 13
    LABEL = 244


STATE_MAX: Final = 3


# -- writing -----------------------------------------------------------------------------------


def _head(kind: Kind) -> bytes:
    return bytes((kind,))


def _source(message: Ping | IndirectPing) -> tuple[list[tuple[bytes, bytes]], ...]:
    """SourceAddr, SourceNode and SourcePort, each in a list, which is empty if the field is."""
    address: list[tuple[bytes, bytes]] = []
    node: list[tuple[bytes, bytes]] = []
    port: list[tuple[bytes, bytes]] = []
    if message.source is not None:
        address.append((b"SourceAddr", pack_ip(message.source.host)))
        if message.source.port:
            port.append((b"SourcePort", pack_uint(message.source.port)))
    if message.source_node:
        node.append((b"SourceNode", pack_string(message.source_node)))
    return address, node, port


def _ping(message: Ping) -> bytes:
    address, node, port = _source(message)
    return pack_map(
        (b"Node", pack_string(message.node)),
        (b"SeqNo", pack_uint(message.sequence)),
        *address,
        *node,
        *port,
    )


def _indirect_ping(message: IndirectPing) -> bytes:
    address, node, port = _source(message)
    return pack_map(
        (b"Nack", pack_bool(message.wants_nack)),
        (b"Node", pack_string(message.node)),
        (b"Port", pack_uint(message.target.port)),
        (b"SeqNo", pack_uint(message.sequence)),
        *address,
        *node,
        *port,
        (b"Target", pack_ip(message.target.host)),
    )


def _ack(message: Ack) -> bytes:
    return pack_map(
        (b"Payload", pack_optional_bytes(message.payload)),
        (b"SeqNo", pack_uint(message.sequence)),
    )


def _nack(message: Nack) -> bytes:
    return pack_map((b"SeqNo", pack_uint(message.sequence)))


def _accusation(message: Suspect | Dead) -> bytes:
    return pack_map(
        (b"From", pack_string(message.sender)),
        (b"Incarnation", pack_uint(message.incarnation)),
        (b"Node", pack_string(message.node)),
    )


def _alive(message: Alive) -> bytes:
    return pack_map(
        (b"Addr", pack_ip(message.address.host)),
        (b"Incarnation", pack_uint(message.incarnation)),
        (b"Meta", pack_optional_bytes(message.meta)),
        (b"Node", pack_string(message.node)),
        (b"Port", pack_uint(message.address.port)),
        (b"Vsn", pack_versions(message.versions)),
    )


def _user(message: User) -> bytes:
    return message.payload


def _error(message: RemoteError) -> bytes:
    return pack_map((b"Error", pack_string(message.text)))


def _node(node: PushPullNode) -> bytes:
    return pack_map(
        (b"Addr", pack_ip(node.address.host)),
        (b"Incarnation", pack_uint(node.incarnation)),
        (b"Meta", pack_optional_bytes(node.meta)),
        (b"Name", pack_string(node.name)),
        (b"Port", pack_uint(node.address.port)),
        (b"State", pack_int(node.state)),
        (b"Vsn", pack_versions(node.versions)),
    )


def _push_pull(message: PushPull) -> bytes:
    header = pack_map(
        (b"Join", pack_bool(message.join)),
        (b"Nodes", pack_int(len(message.nodes))),
        (b"UserStateLen", pack_int(len(message.user_state))),
    )
    return b"".join((header, *map(_node, message.nodes), message.user_state))


_WRITERS: Final[dict[type, tuple[bytes, Callable[[Any], bytes]]]] = {
    Ping: (_head(Kind.PING), _ping),
    IndirectPing: (_head(Kind.INDIRECT_PING), _indirect_ping),
    Ack: (_head(Kind.ACK), _ack),
    Suspect: (_head(Kind.SUSPECT), _accusation),
    Alive: (_head(Kind.ALIVE), _alive),
    Dead: (_head(Kind.DEAD), _accusation),
    PushPull: (_head(Kind.PUSH_PULL), _push_pull),
    User: (_head(Kind.USER), _user),
    Nack: (_head(Kind.NACK), _nack),
    RemoteError: (_head(Kind.ERROR), _error),
}


def encode_message(message: Message) -> bytes:
    """A message as it stands in a packet, and on a stream; a user message only in a packet.

    Raises ValueError for an address that is no IP address.
    """
    head, write = _WRITERS[type(message)]
    return head + write(message)


# -- reading -----------------------------------------------------------------------------------


def _read_source(fields: Fields) -> Address | None:
    if not fields.raw(b"SourceAddr"):
        return None
    return fields.address(b"SourceAddr", b"SourcePort")


def _read_ping(fields: Fields) -> Ping:
    return Ping(
        sequence=fields.uint(b"SeqNo", UINT32_MAX),
        node=fields.text(b"Node"),
        source=_read_source(fields),
        source_node=fields.text(b"SourceNode"),
    )


def _read_indirect_ping(fields: Fields) -> IndirectPing:
    return IndirectPing(
        sequence=fields.uint(b"SeqNo", UINT32_MAX),
        target=fields.address(b"Target", b"Port"),
        node=fields.text(b"Node"),
        wants_nack=fields.flag(b"Nack"),
        source=_read_source(fields),
        source_node=fields.text(b"SourceNode"),
    )


def _read_ack(fields: Fields) -> Ack:
    return Ack(fields.uint(b"SeqNo", UINT32_MAX), fields.optional(b"Payload"))


def _read_nack(fields: Fields) -> Nack:
    return Nack(fields.uint(b"SeqNo", UINT32_MAX))


def _read_suspect(fields: Fields) -> Suspect:
    return Suspect(
        fields.uint(b"Incarnation", UINT32_MAX), fields.text(b"Node"), fields.text(b"From")
    )


def _read_dead(fields: Fields) -> Dead:
    return Dead(fields.uint(b"Incarnation", UINT32_MAX), fields.text(b"Node"), fields.text(b"From"))


def _read_alive(fields: Fields) -> Alive:
    return Alive(
        incarnation=fields.uint(b"Incarnation", UINT32_MAX),
        node=fields.text(b"Node"),
        address=fields.address(b"Addr", b"Port"),
        meta=fields.optional(b"Meta"),
        versions=fields.versions(),
    )


def _read_error(fields: Fields) -> RemoteError:
    # It is for people: what cannot be printed is replaced, and more than a screen is not kept.
    text = fields.raw(b"Error")[:2048].decode(errors="replace")
    return RemoteError("".join(char if char.isprintable() else "?" for char in text))


_READERS: Final[dict[int, tuple[str, Callable[[Fields], Message]]]] = {
    Kind.PING: ("a ping", _read_ping),
    Kind.INDIRECT_PING: ("an indirect ping", _read_indirect_ping),
    Kind.ACK: ("an ack", _read_ack),
    Kind.SUSPECT: ("a suspicion", _read_suspect),
    Kind.ALIVE: ("an alive message", _read_alive),
    Kind.DEAD: ("a death", _read_dead),
    Kind.NACK: ("a nack", _read_nack),
    Kind.ERROR: ("an error answer", _read_error),
}

PACKET_KINDS: Final = frozenset(
    {
        *(Kind.PING, Kind.INDIRECT_PING, Kind.ACK, Kind.SUSPECT),
        *(Kind.ALIVE, Kind.DEAD, Kind.USER, Kind.NACK),
    }
)
"""What a packet may carry, layers aside."""


def decode_in_packet(data: bytes) -> Message:
    """The message that is all of `data`, which stood in a packet. Raises BadFrame."""
    kind = data[0] if data else -1
    if kind not in PACKET_KINDS:
        raise bad_frame(f"a packet with the type byte {kind}" if data else "an empty message")
    if kind == Kind.USER:
        return User(data[1:])
    name, read = _READERS[kind]
    return read(fields_of(data[1:], name))


def decode_map(kind: int, value: Any) -> Message:
    """The message of `kind` that a decoded map stands for. Raises BadFrame."""
    name, read = _READERS[kind]
    return read(Fields(value, name))


def decode_node(value: Any) -> PushPullNode:
    """One member in a push-pull, from its decoded map. Raises BadFrame."""
    fields = Fields(value, "a member in a push-pull")
    return PushPullNode(
        name=fields.text(b"Name"),
        address=fields.address(b"Addr", b"Port"),
        meta=fields.optional(b"Meta"),
        incarnation=fields.uint(b"Incarnation", UINT32_MAX),
        state=fields.uint(b"State", STATE_MAX),
        versions=fields.versions(),
    )
