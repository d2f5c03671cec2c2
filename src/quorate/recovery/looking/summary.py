"""The contents of a data folder, as one value for people and for plans."""

from __future__ import annotations

from enum import Enum

import msgspec

from quorate.raft.values.identity import NO_EPOCH, Epoch


class Kind(Enum):
    """Whose folder it is."""

    QUORATE = "Quorate"
    NOMAD = "Nomad"


class Member(msgspec.Struct, frozen=True):
    """A server of a configuration. `key` is its public key, empty where none is known."""

    id: str
    address: str
    voter: bool
    key: bytes = b""


class Members(msgspec.Struct, frozen=True):
    """A configuration, and the index of the entry that set it."""

    index: int = 0
    servers: tuple[Member, ...] = ()


class SnapshotLine(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that was read whole."""

    id: str
    index: int
    term: int
    size: int
    members: Members


class FolderSummary(msgspec.Struct, kw_only=True):
    """One data folder. Numbers are 0, and texts empty, where there is nothing.

    `base_index` is the last entry that compaction took away. `commit_known` is the highest index
    that is committed for certain: a snapshot reaches so far. What follows it may be. `damage` says
    what of log and snapshots cannot be used; `notes` is what else a person should know.
    """

    kind: str
    path: str
    user: int | None = None
    server_id: str = ""
    region: str = ""
    cluster_id: str = ""
    epoch: Epoch = NO_EPOCH
    level: int = 0
    start: int = 0
    rolled_back: str = ""
    entries: int = 0
    first_index: int = 0
    last_index: int = 0
    last_term: int = 0
    base_index: int = 0
    term: int = 0
    vote_term: int = 0
    voted_for: str = ""
    commit_known: int = 0
    snapshot: SnapshotLine | None = None
    members: Members = Members()
    gaps: list[tuple[int, int]] = []
    damage: list[str] = []
    notes: list[str] = []

    @property
    def reach(self) -> tuple[int, int]:
        """(term, index) of the last entry, in log or snapshot: by this, logs are compared."""
        last = (self.last_term, self.last_index)
        if self.snapshot is None:
            return last
        return max(last, (self.snapshot.term, self.snapshot.index))
