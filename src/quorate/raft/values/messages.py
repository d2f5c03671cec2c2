"""Messages between servers, and entries of the log, as values.

The requests and answers are those of Figure 2 and Figure 13 of the Raft paper with the additions
of hashicorp/raft's transport (leadership transfer, pre-vote, the sender's name in each request).
How they look in bytes is the business of `quorate.wire`; here are only their meanings.

All of them are treated as immutable. `Entry` alone is not frozen, because `Entry.encoded` keeps
its travelling form once `wire` has made it, so that an entry is encoded once for the disk and
all peers.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from quorate.raft.values.identity import IdentityRecord

PROTOCOL_VERSION = 3
"""The version of hashicorp/raft's protocol that we speak; a receiver at 3 accepts 2 and 3."""


class EntryKind(IntEnum):
    """The kinds of log entry (numbers of the wire)."""

    COMMAND = 0
    NOOP = 1
    ADD_PEER = 2  # deprecated by its makers; protocol 2 and older write it
    REMOVE_PEER = 3  # the same; also entry 1 of a cluster bootstrapped at protocol 2
    BARRIER = 4
    CONFIGURATION = 5


class Entry(msgspec.Struct, gc=False, eq=False):
    """One entry of the replicated log.

    `appended_at` is the leader's wall clock in Unix nanoseconds, for information only; None where
    the sender said nothing. `encoded` is a cache of the travelling form and not part of the value.
    """

    index: int
    term: int
    kind: int
    data: bytes = b""
    extensions: bytes = b""
    appended_at: int | None = None
    encoded: bytes | None = None

    def value(self) -> tuple[int, int, int, bytes, bytes]:
        """The fields by which two entries are the same entry."""
        return (self.index, self.term, self.kind, self.data, self.extensions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self.value() == other.value()

    def __hash__(self) -> int:
        return hash((self.index, self.term))


class HardState(msgspec.Struct, frozen=True, gc=False):
    """Term and vote, which must survive a crash (Raft Figure 2).

    `voted_for` is the candidate's id (its address, if it is an old peer that sends no id), empty
    if no vote was ever given; `vote_term` is the term of that vote, which may be older than `term`.
    """

    term: int = 0
    voted_for: str = ""
    vote_term: int = 0


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The fields of every request about its sender.

    `sender_id` and `sender_address` are empty when an old peer (which knows neither) speaks.
    `cluster_id` is Quorate's own addition, empty when unknown; other implementations skip it.
    So is `identity`, which answers carry too; None from other makes and from feature level 0.
    """

    term: int
    protocol_version: int = PROTOCOL_VERSION
    sender_id: str = ""
    sender_address: str = ""
    cluster_id: str = ""
    identity: IdentityRecord | None = None


class AppendEntriesRequest(Request, frozen=True, gc=False, kw_only=True):
    """Replicate entries, or say "I lead" (Raft 5.3). `leader` is the leader's address.

    A heartbeat in hashicorp/raft's sense has no entries and zero in the three indexes; see
    `is_heartbeat`. It says nothing about the log and is answered without looking at it.
    """

    leader: str = ""
    prev_log_index: int = 0
    prev_log_term: int = 0
    entries: tuple[Entry, ...] = ()
    leader_commit: int = 0

    @property
    def is_heartbeat(self) -> bool:
        """True for the form that only refreshes leadership (docs/wire.md#appends)."""
        return not (self.entries or self.prev_log_index or self.leader_commit) and self.term != 0


class AppendEntriesResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answer to AppendEntries.

    `last_log` is the receiver's last index *before* this request was applied, so a leader
    advances from what it sent (docs/wire.md#messages). `promise_ms` is Quorate's own addition: for
    how many milliseconds from the receipt of the request the answering server refuses its vote to
    others, also if its settings change meanwhile. Zero, and not sent, where nothing is promised.
    """

    term: int
    last_log: int
    success: bool
    no_retry_backoff: bool = False
    promise_ms: int = 0
    protocol_version: int = PROTOCOL_VERSION
    sender_id: str = ""
    sender_address: str = ""
    identity: IdentityRecord | None = None


class RequestVoteRequest(Request, frozen=True, gc=False, kw_only=True):
    """Ask for a vote (Raft 5.2, 5.4.1). `candidate` is the candidate's address."""

    candidate: str = ""
    last_log_index: int = 0
    last_log_term: int = 0
    leadership_transfer: bool = False


class RequestVoteResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answer to RequestVote. `peers` is a legacy field, None from protocol 2 on."""

    term: int
    granted: bool
    peers: bytes | None = None
    protocol_version: int = PROTOCOL_VERSION
    sender_id: str = ""
    sender_address: str = ""
    identity: IdentityRecord | None = None


class PreVoteRequest(Request, frozen=True, gc=False, kw_only=True):
    """Ask whether a vote would be granted, without changing anything (thesis 9.6).

    `term` is the term that the sender would campaign for: its own plus one.
    """

    last_log_index: int = 0
    last_log_term: int = 0


class PreVoteResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answer to a pre-vote."""

    term: int
    granted: bool
    protocol_version: int = PROTOCOL_VERSION
    sender_id: str = ""
    sender_address: str = ""
    identity: IdentityRecord | None = None


class InstallSnapshotRequest(Request, frozen=True, gc=False, kw_only=True):
    """Announce a snapshot (Raft 7); `size` bytes of it follow on the same connection.

    `configuration` is the membership at `configuration_index`, encoded as in the log.
    `peers` is the legacy list for receivers that know nothing else, None if not given.
    """

    snapshot_version: int = 1
    leader: str = ""
    last_log_index: int = 0
    last_log_term: int = 0
    peers: bytes | None = None
    configuration: bytes = b""
    configuration_index: int = 0
    size: int = 0

    @property
    def membership_index(self) -> int:
        """Index of the membership it carries; version 0 knows none but that of the snapshot."""
        return self.configuration_index if self.configuration else self.last_log_index


class InstallSnapshotResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answer to InstallSnapshot, after the whole snapshot is durable."""

    term: int
    success: bool
    protocol_version: int = 0
    sender_id: str = ""
    sender_address: str = ""
    identity: IdentityRecord | None = None


class TimeoutNowRequest(Request, frozen=True, gc=False, kw_only=True):
    """Tell the receiver to campaign at once (thesis 3.10).

    `term` is 0 from other makes, which do not send it. Where it is known, a receiver in another
    term does not obey: a late message must not break a newer leader's lease.
    """

    term: int = 0


class TimeoutNowResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answer to TimeoutNow: heard."""

    protocol_version: int = 0
    sender_id: str = ""
    sender_address: str = ""
    identity: IdentityRecord | None = None


AnyRequest = (
    AppendEntriesRequest
    | RequestVoteRequest
    | PreVoteRequest
    | InstallSnapshotRequest
    | TimeoutNowRequest
)
AnyResponse = (
    AppendEntriesResponse
    | RequestVoteResponse
    | PreVoteResponse
    | InstallSnapshotResponse
    | TimeoutNowResponse
)
