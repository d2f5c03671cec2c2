"""Events: inputs of a member of a pool. Each goes to `Node.step` with the time it happened.

`handle` is a token: where the runtime makes one (joins, queries, streams from outside) the core
hands it back and never looks inside; where the core makes one (streams that it asks for, queries
of others) the runtime hands it back. The two kinds never meet in one field.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from quorate.gossip.messages import Address, KeyResponse, Message, NodeFilter, TagFilter


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed; due when `Node.deadline` is reached.

    Give packets that are already here first: an ack that waits in the socket's buffer is in time.
    """


class PacketReceived(msgspec.Struct, frozen=True):
    """A packet, opened and taken apart; `messages` in their order, at least one."""

    source: Address
    messages: tuple[Message, ...]


class StreamReceived(msgspec.Struct, frozen=True):
    """A peer opened a stream with this first message; a `StreamReply` with `handle` follows."""

    handle: Any
    source: Address
    message: Message


class StreamAnswered(msgspec.Struct, frozen=True):
    """The peer answered the `StreamRequest` of this handle."""

    handle: int
    message: Message


class StreamFailed(msgspec.Struct, frozen=True):
    """The `StreamRequest` of this handle got no answer; `reason` is a text for people."""

    handle: int
    reason: str


class JoinRequested(msgspec.Struct, frozen=True):
    """Join through these members, as (address, name) with an empty name if it is not known.

    All are tried at once; `JoinDone` tells the outcome. `ignore_old`: user events from before the
    join are not reported.
    """

    handle: Any
    targets: tuple[tuple[Address, str], ...]
    ignore_old: bool = True


class LeaveRequested(msgspec.Struct, frozen=True):
    """Leave the pool for good; `LeaveDone` comes when the others know, or it took too long."""

    handle: Any


class ForceLeaveRequested(msgspec.Struct, frozen=True):
    """Turn a failed member into one that has left; `prune`: forget it altogether.

    Raises ValueError for this member's own name.
    """

    name: str
    prune: bool = False


class SetTags(msgspec.Struct, frozen=True):
    """Announce these tags of this member. Raises ValueError if they are over 512 bytes encoded."""

    tags: dict[str, str]


class SendUserEvent(msgspec.Struct, frozen=True):
    """Tell all members. Raises ValueError if name and payload are over `user_event_bytes_max`."""

    name: str
    payload: bytes | None = None
    coalesce: bool = False


class SendQuery(msgspec.Struct, frozen=True):
    """Ask all members that pass `filters`, this one included.

    `timeout_s` None is Serf's default for the size of the pool. Answers come as `QueryAcked` and
    `QueryAnswered`, the end as `QueryDone`. Raises ValueError if it is over `query_bytes_max`.
    """

    handle: Any
    name: str
    payload: bytes | None = None
    filters: tuple[NodeFilter | TagFilter, ...] = ()
    wants_acks: bool = False
    relay_factor: int = 0
    timeout_s: float | None = None


class AnswerQuery(msgspec.Struct, frozen=True):
    """The answer to a `QueryArrived`. Nothing happens if its time is over.

    Raises ValueError if it is over `response_bytes_max`.
    """

    handle: int
    payload: bytes | None


class AnswerKeyQuery(msgspec.Struct, frozen=True):
    """The outcome of a `KeyChangeAsked`; a list of keys is cut to what fits into an answer."""

    handle: int
    response: KeyResponse


Event: TypeAlias = (
    Tick
    | PacketReceived
    | StreamReceived
    | StreamAnswered
    | StreamFailed
    | JoinRequested
    | LeaveRequested
    | ForceLeaveRequested
    | SetTags
    | SendUserEvent
    | SendQuery
    | AnswerQuery
    | AnswerKeyQuery
)
