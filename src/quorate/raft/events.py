"""Events: inputs of a node. Each is given to `Node.step` with the time at which it happened.

`reply_to` and `handle` are tokens of the caller: the node hands them back and never looks inside.
"""

from __future__ import annotations

from typing import Any

import msgspec

from quorate.raft.values.configuration import Change, Configuration
from quorate.raft.values.messages import AnyRequest, AnyResponse, InstallSnapshotRequest


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed; due at the latest when `Node.deadline` is reached."""


class RequestReceived(msgspec.Struct, frozen=True):
    """A peer asks. The answer is a `Reply` (or `ReceiveSnapshot`) with the same `reply_to`."""

    reply_to: Any
    request: AnyRequest


class ResponseReceived(msgspec.Struct, frozen=True):
    """A peer answered the request sent as `rpc_id`."""

    peer_id: str
    rpc_id: int
    response: AnyResponse


class RequestFailed(msgspec.Struct, frozen=True):
    """The request sent as `rpc_id` got no answer; `reason` is the transport's or peer's text."""

    peer_id: str
    rpc_id: int
    reason: str


class LeaderUnreachable(msgspec.Struct, frozen=True):
    """The transport saw the leader's process go (its connections were reset)."""

    leader_id: str


class Persisted(msgspec.Struct, frozen=True, gc=False):
    """All `Persist` effects up to `sequence` are durable."""

    sequence: int


class TermPersisted(msgspec.Struct, frozen=True, gc=False):
    """Term and vote as of the write `sequence` are durable; entries up to it may not be.

    So it is on a full disk: there is always room for term and vote, and they pass what waits.
    """

    sequence: int


class Greeted(msgspec.Struct, frozen=True, gc=False):
    """That member was greeted, and has nothing against this server; what it has seen is known."""

    server_id: str


class StorageState(msgspec.Struct, frozen=True, gc=False):
    """Whether the disk has room for writes."""

    full: bool


class MachineState(msgspec.Struct, frozen=True, gc=False):
    """Whether the state machine here is known not to hold what the log says.

    Log, term and vote are right all the same: such a server stores entries and votes, so that the
    others have their quorum, but does not campaign, since nobody could be answered by it.
    """

    damaged: bool


class MachineHeld(msgspec.Struct, frozen=True):
    """The state machine holds everything up to `index`, and cannot apply the entry behind it.

    Nothing is applied from now on, until a snapshot takes the state past that entry. `why` is for
    people. Such a server votes and stores entries, but does not campaign, and answers no callers.
    """

    index: int
    why: str


class Prepared(msgspec.Struct, frozen=True):
    """This server is prepared for a recovery of its cluster, or, if `why` is empty, no longer.

    While it is, nothing of its epoch counts: no vote, no append and no snapshot is taken, and it
    does not campaign. So its log stays as the plan of the recovery has found it. `why` is for
    people.
    """

    why: str


class Propose(msgspec.Struct, frozen=True):
    """Commands to replicate, as (handle, command) pairs, in order."""

    proposals: tuple[tuple[Any, bytes], ...]


class ReadRequested(msgspec.Struct, frozen=True):
    """A linearizable read is wanted (thesis 6.4)."""

    handle: Any


class ChangeRequested(msgspec.Struct, frozen=True):
    """A change of membership is wanted. `force` skips the proof that a quorum would remain."""

    handle: Any
    change: Change
    force: bool = False


class TransferRequested(msgspec.Struct, frozen=True):
    """Transfer leadership to `target_id`, or to the best voter when empty (thesis 3.10)."""

    handle: Any
    target_id: str = ""


class Applied(msgspec.Struct, frozen=True, gc=False):
    """The state machine now holds everything up to `index`, and nothing above it.

    `ready` False: give it the next entries only after a later `Applied`.
    """

    index: int
    ready: bool = True


class Bootstrap(msgspec.Struct, frozen=True):
    """Found a cluster: write `configuration` as entry 1 of term 1 (docs/wire.md#header-check).

    All founding servers must be given the same. Done when durable; refused on a node with data.
    """

    handle: Any
    configuration: Configuration


class SnapshotStored(msgspec.Struct, frozen=True, gc=False):
    """A snapshot of the state machine at (index, term) is durable: the log may be compacted.

    `whole`: all that the snapshot has goes, also the entries that would stay for slow followers.
    """

    index: int
    term: int
    whole: bool = False


class SnapshotReceived(msgspec.Struct, frozen=True):
    """The body announced by `request` has arrived; `ok` is False if it could not be stored."""

    reply_to: Any
    request: InstallSnapshotRequest
    ok: bool


class SnapshotDelivered(msgspec.Struct, frozen=True):
    """The peer answered an install; `index` is the last index of the snapshot it was sent."""

    peer_id: str
    rpc_id: int
    index: int
    response: AnyResponse


Event = (
    Tick
    | RequestReceived
    | ResponseReceived
    | RequestFailed
    | LeaderUnreachable
    | Persisted
    | TermPersisted
    | Greeted
    | StorageState
    | MachineState
    | MachineHeld
    | Prepared
    | Propose
    | ReadRequested
    | ChangeRequested
    | TransferRequested
    | Applied
    | Bootstrap
    | SnapshotStored
    | SnapshotReceived
    | SnapshotDelivered
)
