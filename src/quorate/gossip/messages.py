"""Messages between members of a pool, as values.

The first half is memberlist's (SWIM with Lifeguard's additions), the second Serf's, which travels
inside memberlist's user messages and push-pulls. How they look in bytes is the business of
`quorate.wire`; here are only their meanings (docs/wire.md#gossip-messages, #push-pull and
#serf-messages).

All are treated as immutable. Empty text and empty bytes mean "not given"; None is kept apart from
empty only where peers tell them apart.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TypeAlias

import msgspec


class Address(msgspec.Struct, frozen=True, gc=False, order=True):
    """Where packets and streams go: an IP address in text form, and a port."""

    host: str
    port: int


class Versions(msgspec.Struct, frozen=True, gc=False):
    """The versions a member speaks: lowest, highest and current of memberlist and of Serf."""

    protocol_min: int = 1
    protocol_max: int = 5
    protocol_current: int = 2
    delegate_min: int = 2
    delegate_max: int = 5
    delegate_current: int = 4


class NodeState(IntEnum):
    """The state of a member as memberlist believes it (numbers of the wire)."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Are you there? The answer goes to `source`, or where the packet came from if it is None."""

    sequence: int
    node: str
    source: Address | None = None
    source_node: str = ""


class IndirectPing(msgspec.Struct, frozen=True, gc=False):
    """Ask `node` at `target` for me; `wants_nack`: tell me if it stays silent."""

    sequence: int
    target: Address
    node: str
    wants_nack: bool = False
    source: Address | None = None
    source_node: str = ""


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The answer to a ping. `payload` is an encoded coordinate, None if there is none."""

    sequence: int
    payload: bytes | None = None


class Nack(msgspec.Struct, frozen=True, gc=False):
    """The helper of an indirect ping got no answer, but is there itself."""

    sequence: int


class Suspect(msgspec.Struct, frozen=True, gc=False):
    """`sender` got no answer from `node`."""

    incarnation: int
    node: str
    sender: str


class Alive(msgspec.Struct, frozen=True, gc=False):
    """`node` lives at `address`. `meta` holds Serf's tags, None is nil."""

    incarnation: int
    node: str
    address: Address
    meta: bytes | None
    versions: Versions | None = None  # None: the sender gave none


class Dead(msgspec.Struct, frozen=True, gc=False):
    """`node` is dead; it has left if `sender` is the node itself."""

    incarnation: int
    node: str
    sender: str


class User(msgspec.Struct, frozen=True, gc=False):
    """Bytes for the layer above: a Serf message with its type byte."""

    payload: bytes


class RemoteError(msgspec.Struct, frozen=True, gc=False):
    """A stream's first message could not be read at the other end, and why."""

    text: str


class PushPullNode(msgspec.Struct, frozen=True, gc=False):
    """One member in a full exchange of states."""

    name: str
    address: Address
    meta: bytes | None
    incarnation: int
    state: int
    versions: Versions | None = None


class PushPull(msgspec.Struct, frozen=True):
    """A full exchange of states: `user_state` is Serf's, with its type byte.

    `serf` is the same, where it was read before: another thread does that if it is large.
    """

    join: bool
    nodes: tuple[PushPullNode, ...]
    user_state: bytes = b""
    serf: SerfPushPull | None = None


Message: TypeAlias = (
    Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User | RemoteError | PushPull
)


# -- Serf --------------------------------------------------------------------------------------


class LeaveIntent(msgspec.Struct, frozen=True, gc=False):
    """`node` leaves, or is forced to; `prune`: forget it altogether."""

    ltime: int
    node: str
    prune: bool = False


class JoinIntent(msgspec.Struct, frozen=True, gc=False):
    """`node` has joined."""

    ltime: int
    node: str


class UserEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of an application; `coalesce`: only the newest of a name matters."""

    ltime: int
    name: str
    payload: bytes | None = None
    coalesce: bool = False


class QueryFlag(IntFlag):
    """Flags by which the sender of a query, or of a response, asks for something."""

    ACK = 1
    NO_BROADCAST = 2


class Query(msgspec.Struct, frozen=True):
    """A question to all members that pass `filters` (encoded, each with its type byte)."""

    ltime: int
    id: int
    address: Address
    source_node: str
    name: str
    payload: bytes | None = None
    filters: tuple[bytes, ...] | None = None
    flags: int = 0
    relay_factor: int = 0
    timeout_ns: int = 0


class NodeFilter(msgspec.Struct, frozen=True, gc=False):
    """A query is for these names only."""

    names: tuple[str, ...]


class TagFilter(msgspec.Struct, frozen=True, gc=False):
    """A query is for members whose tag matches; a missing tag is empty text.

    `expression` is a regular expression of Go's kind and not anchored.
    """

    tag: str
    expression: str


class QueryResponse(msgspec.Struct, frozen=True, gc=False):
    """An acknowledgement (flag 1) of a query, or an answer to it."""

    ltime: int
    id: int
    sender: str
    flags: int = 0
    payload: bytes | None = None


class SerfStatus(IntEnum):
    """The state of a member as Serf believes it (numbers of the wire)."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


class ConflictMember(msgspec.Struct, frozen=True):
    """A member as the answer to a query about a name conflict describes it."""

    name: str
    address: Address
    tags: dict[str, str]
    status: int
    versions: Versions


class ConflictResponse(msgspec.Struct, frozen=True):
    """The answer to a query about a name conflict; None if the name is not known."""

    member: ConflictMember | None


class KeyRequest(msgspec.Struct, frozen=True, gc=False):
    """A key to install, use or remove, as raw bytes; empty in a request to list."""

    key: bytes = b""


class KeyResponse(msgspec.Struct, frozen=True):
    """The outcome of a key request; keys are base64 text. `keys` is None for nil."""

    result: bool
    message: str = ""
    keys: tuple[str, ...] | None = None
    primary_key: str | None = None  # None: an old peer that does not tell


class Relay(msgspec.Struct, frozen=True, gc=False):
    """Pass `inner`, a message with its type byte, on to a member."""

    destination: Address
    destination_node: str
    inner: bytes


class EventsAt(msgspec.Struct, frozen=True):
    """The user events of one Lamport time."""

    ltime: int
    events: tuple[tuple[str, bytes | None], ...]  # (name, payload)


class SerfPushPull(msgspec.Struct, frozen=True):
    """Serf's part of a full exchange. `events` may have holes (None), as the ring of a peer has."""

    ltime: int
    status_ltimes: dict[str, int]
    left_members: tuple[str, ...] = ()
    event_ltime: int = 0
    events: tuple[EventsAt | None, ...] = ()
    query_ltime: int = 0


SerfMessage: TypeAlias = (
    LeaveIntent
    | JoinIntent
    | SerfPushPull
    | UserEvent
    | Query
    | QueryResponse
    | ConflictResponse
    | KeyRequest
    | KeyResponse
    | Relay
)


class Coordinate(msgspec.Struct, frozen=True):
    """A place in the space of round trips (Vivaldi): seconds, 8 dimensions."""

    vector: tuple[float, ...]
    error: float
    height: float
    adjustment: float
