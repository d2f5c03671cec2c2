"""Effects of a member: `Node.step` returns them in order; none waits for another."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

import msgspec

from quorate.gossip.messages import (
    Ack,
    Address,
    Ping,
    PushPull,
    RemoteError,
    SerfStatus,
    Versions,
)


class Member(msgspec.Struct, frozen=True):
    """A member as people see it; a snapshot of what this node believes at the moment."""

    name: str
    address: Address
    tags: dict[str, str]
    status: SerfStatus
    versions: Versions | None
    incarnation: int = 0


class Change(Enum):
    """A change of a member; the values are Serf's names of its events."""

    JOINED = "member-join"
    LEAVING = "member-leaving"  # it has said that it is about to leave
    LEFT = "member-leave"
    FAILED = "member-failed"
    UPDATED = "member-update"  # tags, address or versions
    REAPED = "member-reap"  # forgotten: after its time, or pruned


class Refusal(Enum):
    """Why a message was refused; the values name counters."""

    BAD_VERSIONS = "versions"  # a member whose versions make no sense
    NOT_ADMITTED = "admission"  # a member that `admit` does not want, or a merge with one
    MERGE_VERSIONS = "merge_versions"  # a push-pull whose versions do not fit the pool
    NAME_CONFLICT = "name_conflict"  # a second address for the name of a living member
    FORGOTTEN = "forgotten"  # old news about a member that was reaped or pruned
    BAD_BYTES = "bytes"  # bytes inside a message that are no such thing
    UNEXPECTED = "unexpected"  # a message that has no place there
    WRONG_NODE = "wrong_node"  # a ping for another name
    TOO_LARGE = "too_large"  # over a limit on sizes
    TABLE_FULL = "table_full"  # more names than `members_max`
    TOO_MANY = "too_many"  # more in a time than honest members send
    COORDINATE = "coordinate"  # a coordinate or round trip that cannot be


class KeyAction(Enum):
    """An action on keys; the values are the names of Serf's internal queries."""

    INSTALL = "_serf_install-key"
    USE = "_serf_use-key"
    REMOVE = "_serf_remove-key"
    LIST = "_serf_list-keys"


class SendPacket(msgspec.Struct, frozen=True):
    """Send these encoded messages in one packet: as they are if one, else as a compound.

    At most 127 parts, within the settings' `packet_bytes_max` with all overheads. `crc`: put the
    checksum in front (docs/wire.md#packets).
    """

    to: Address
    parts: tuple[bytes, ...]
    crc: bool = False


class StreamRequest(msgspec.Struct, frozen=True):
    """Open a stream, send `message`, and report `StreamAnswered` or `StreamFailed`.

    `name` is the member expected there, empty if not known. Give up after `timeout_s`.
    """

    handle: int
    to: Address
    name: str
    message: PushPull | Ping
    timeout_s: float


class StreamReply(msgspec.Struct, frozen=True):
    """Answer the stream of this handle and close it; None: close it without an answer."""

    handle: Any
    message: PushPull | Ack | RemoteError | None


class MemberChanged(msgspec.Struct, frozen=True):
    """Something happened to a member; `member` is as it is now (when reaped: as it was last)."""

    change: Change
    member: Member


class EventArrived(msgspec.Struct, frozen=True):
    """A user event, each once; also those that this member sent."""

    name: str
    payload: bytes | None
    ltime: int
    coalesce: bool = False


class QueryArrived(msgspec.Struct, frozen=True):
    """A query came; `AnswerQuery` with this handle until `deadline` (the clock of `step`)."""

    handle: int
    name: str
    payload: bytes | None
    source_node: str
    source: Address
    deadline: float


class KeyChangeAsked(msgspec.Struct, frozen=True):
    """A query about the key ring, to be carried out and answered by `AnswerKeyQuery`."""

    handle: int
    action: KeyAction
    key: bytes
    source_node: str
    deadline: float


class QueryAcked(msgspec.Struct, frozen=True):
    """A member has received this member's query."""

    handle: Any
    sender: str


class QueryAnswered(msgspec.Struct, frozen=True):
    """A member has answered this member's query."""

    handle: Any
    sender: str
    payload: bytes | None


class QueryDone(msgspec.Struct, frozen=True):
    """The time of this member's query is over; the names of who acknowledged and who answered."""

    handle: Any
    acked: tuple[str, ...]
    answered: tuple[str, ...]


class JoinDone(msgspec.Struct, frozen=True):
    """All targets of a join were tried; `failures` are (address, reason)."""

    handle: Any
    joined: tuple[Address, ...]
    failures: tuple[tuple[Address, str], ...]


class LeaveDone(msgspec.Struct, frozen=True):
    """This member has left; `in_time` is False if the news may not have reached the others."""

    handle: Any
    in_time: bool


class ConflictFound(msgspec.Struct, frozen=True):
    """Two addresses claim one name; `ours` is true if it is this member's own."""

    name: str
    known: Address
    other: Address
    ours: bool


class NameLost(msgspec.Struct, frozen=True):
    """Another living member has this member's name, and most of the pool knows that one.

    This member should stop: two of a name disturb the pool.
    """

    name: str
    holder: Address
    votes_for_us: int
    votes: int


class HeardByStreamOnly(msgspec.Struct, frozen=True):
    """A member answered over a stream, but neither it nor a helper by packets: are they blocked?

    It counts as alive. Told once for each such probe.
    """

    name: str
    address: Address


class Refused(msgspec.Struct, frozen=True):
    """A message was refused: count it. `detail` is for people."""

    reason: Refusal
    source: Address | None = None
    detail: str = ""


Effect: TypeAlias = (
    SendPacket
    | StreamRequest
    | StreamReply
    | MemberChanged
    | EventArrived
    | QueryArrived
    | KeyChangeAsked
    | QueryAcked
    | QueryAnswered
    | QueryDone
    | JoinDone
    | LeaveDone
    | ConflictFound
    | NameLost
    | HeardByStreamOnly
    | Refused
)
