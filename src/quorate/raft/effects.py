"""Effects of a node: `Node.step` returns them in the order in which they must begin.

`Persist` effects must become durable in order; what stands in `then` may leave only after that
(Raft Figure 2: "updated on stable storage before responding to RPCs"). Everything else may be
done at once, in parallel with the disk.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesResponse,
    Entry,
    HardState,
    InstallSnapshotRequest,
)


class Role(Enum):
    """The role of a node at the moment."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Reason(Enum):
    """Why something asked of a node was not done; the value is for people."""

    NOT_LEADER = "node is not the leader"
    LEADERSHIP_LOST = "leadership lost while committing log"
    NOT_READY = "the leader has not committed an entry of its own term yet"
    OVERLOADED = "too many writes are waiting to be committed"
    LOG_AT_BOUND = "the log has reached its bound, and a snapshot is still to make room"
    MACHINE_DAMAGED = "the state here is damaged"
    MACHINE_HELD = "this server cannot apply an entry of the log"
    STORAGE_FULL = "no space left on the leader's disk"
    TRANSFERRING = "leadership transfer in progress"
    CHANGE_PENDING = "another membership change is still being committed"
    CHANGE_STALE = "the configuration has changed meanwhile"
    CHANGE_INVALID = "the change leads to an invalid configuration"
    QUORUM_AT_RISK = "too few of the voters that would remain answer"
    NOT_CAUGHT_UP = "a server is to vote that has not caught up"
    NO_TARGET = "no other voter is caught up and in contact"
    TRANSFER_TIMED_OUT = "the target did not take over in time; the old leader goes on"
    TRANSFER_LOST = "another server than the target was elected"


class Send(msgspec.Struct, frozen=True):
    """Send a request to a peer; the answer comes back as an event with the same `rpc_id`."""

    rpc_id: int
    to: Server
    request: AnyRequest


class SendSnapshot(msgspec.Struct, frozen=True):
    """Send the newest stored snapshot to a peer; `index` is the one the node knows."""

    rpc_id: int
    to: Server
    term: int
    index: int


class Reply(msgspec.Struct, frozen=True):
    """Answer a peer's request."""

    reply_to: Any
    response: AnyResponse


class ReceiveSnapshot(msgspec.Struct, frozen=True):
    """Store the body that follows the request, then report `SnapshotReceived`."""

    reply_to: Any
    request: InstallSnapshotRequest


class RestoreSnapshot(msgspec.Struct, frozen=True, gc=False):
    """Replace the state machine by the received snapshot, then report `Applied(index)`."""

    index: int
    term: int


class Persist(msgspec.Struct, frozen=True):
    """Write durably, in this order: reset, truncate, entries, hard state, compact.

    `reset_to` (index, term) drops the whole log in favour of a snapshot; `truncate_from` deletes
    that index and all above; `compact_to` deletes that index and all below. An empty one is a
    barrier: `then` waits for the writes before it.

    `of_term` are those of `then` that rely on term and vote alone. They may leave as soon as these
    are durable as of this write, although entries before it still wait for room (`TermPersisted`).
    """

    sequence: int
    hard_state: HardState | None = None
    reset_to: tuple[int, int] | None = None
    truncate_from: int | None = None
    entries: tuple[Entry, ...] = ()
    compact_to: int | None = None
    then: tuple[Any, ...] = ()
    of_term: tuple[Any, ...] = ()


def without_of_term(persist: Persist) -> Persist:
    """The write when those of `of_term` have left."""
    then = tuple(each for each in persist.then if not any(each is gone for gone in persist.of_term))
    return msgspec.structs.replace(persist, then=then, of_term=())


def still_true(then: tuple[Any, ...], term: int) -> tuple[Any, ...]:
    """`then` as it may leave: an append of before `term` is answered as one that was not stored."""
    return tuple(_as_of(term, effect) for effect in then) if term else then


def _as_of(term: int, effect: Any) -> Any:
    response = effect.response if type(effect) is Reply else None
    if not isinstance(response, AppendEntriesResponse) or response.term >= term:
        return effect
    # As for lack of room (`receiver`): the leader asks again later, and hears of the newer term.
    response = msgspec.structs.replace(response, success=False, promise_ms=0)
    return Reply(effect.reply_to, response)


class Apply(msgspec.Struct, frozen=True):
    """Committed entries for the state machine, then report `Applied`.

    `handles` maps an index to the handle of the proposal or change that waits for it.
    """

    entries: tuple[Entry, ...]
    handles: dict[int, Any]


class ReadReady(msgspec.Struct, frozen=True):
    """A read of the state machine made now is linearizable for these handles."""

    handles: tuple[Any, ...]


class Done(msgspec.Struct, frozen=True):
    """A leadership transfer has succeeded: `leader_id` leads."""

    handle: Any
    leader_id: str


class Rejected(msgspec.Struct, frozen=True):
    """These handles were not served. `detail` adds to the reason, or is empty.

    `begun`: what they wait for is in the log, and may still be committed.
    """

    handles: tuple[Any, ...]
    reason: Reason
    detail: str = ""
    begun: bool = False


class RoleChanged(msgspec.Struct, frozen=True):
    """This node's role, term or known leader changed, and why."""

    role: Role
    term: int
    leader_id: str
    leader_address: str
    cause: str


class Greet(msgspec.Struct, frozen=True):
    """Ask these members, by ID, what they have against this server, and what starts they have seen.

    Each is to be answered by a `Greeted` event when it has; until then no vote is given.
    """

    server_ids: tuple[str, ...]


class ConfigurationChanged(msgspec.Struct, frozen=True):
    """The configuration in force changed, or became committed."""

    configuration: Configuration
    index: int
    committed: bool


Effect = (
    Send
    | SendSnapshot
    | Reply
    | ReceiveSnapshot
    | RestoreSnapshot
    | Persist
    | Apply
    | ReadReady
    | Done
    | Rejected
    | RoleChanged
    | Greet
    | ConfigurationChanged
)
