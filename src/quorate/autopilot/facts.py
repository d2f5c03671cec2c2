"""The facts on which a leader decides: values only. Times are seconds of one monotonic clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from quorate.raft.pending import Elected
from quorate.raft.values.configuration import Configuration
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.journal import Told
from quorate.state.tables.servers import ServerRecord

ALIVE: Final = "alive"
LEFT: Final = "left"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A statement about one server, by the pool, by a joiner, or by the server that was asked.

    `name` is that in the pool, "<name>.<region>"; `address` is "host:port" of the RPC port.
    `status` is what the pool says: alive, leaving, left or failed. `leaving`: it says that it is
    about to stop for good. `key` is the public key that it has proven, `run` the bytes of its
    process; both are empty where nothing is proven. `level` is the highest feature level that it
    knows, `version` that of its program. `objection`: why nothing of it counts here, as of a server
    that was left out of a recovery; empty if nothing speaks against it.
    """

    id: str
    name: str
    address: str
    region: str
    status: str = ALIVE
    cluster_id: str = ""
    leaving: bool = False
    key: bytes = b""
    run: bytes = b""
    level: int = 0
    version: str = ""
    objection: str = ""

    def is_body_of(self, other: Claim) -> bool:
        """True if both claims are of one process, and not of two that use one ID."""
        if self.run and other.run:
            return self.run == other.run
        return (self.id, self.name, self.address) == (other.id, other.name, other.address)


class Heard(msgspec.Struct, frozen=True):
    """The answer from an address that was asked at the time `at`; None: nothing answered."""

    at: float
    claim: Claim | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A member that holds the cluster's feature level back, and why."""

    server_id: str
    name: str
    why: str


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """How far a peer has come. `contact_at`: when it answered last, -inf if it never has."""

    match_index: int
    contact_at: float
    key: bytes = b""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.

    `pool` has one claim for each ID, this server's own among them. `rivals` are live members of the
    pool that use an ID which another live member has. `trouble` says why this leader can take no
    write, empty if it can; `unfit` are members whose state is known to be wrong. `removing` are
    servers that operators remove at this moment. `no_vote` says of non-voters why they are not to
    vote, by ID. `level` is the cluster's feature level. `told` is
    what the journal says already, `elected` how this server came to lead, `committed` the newest
    configuration that no election can take back, and `committed_index` its index.
    """

    now: float
    me: Claim
    configuration: Configuration
    configuration_index: int
    last_index: int
    election_timeout_s: float
    peers: Mapping[str, Peer]
    pool: tuple[Claim, ...]
    rivals: tuple[Claim, ...] = ()
    records: Mapping[str, ServerRecord] = {}
    rules: AutopilotConfiguration | None = None
    cluster_named: bool = True
    trouble: str = ""
    unfit: frozenset[str] = frozenset()
    removing: frozenset[str] = frozenset()
    no_vote: Mapping[str, str] = {}
    level: int = 0
    told: Told = Told()
    elected: Elected | None = None
    committed: Configuration = Configuration()
    committed_index: int = 0

    def is_stranger(self, claim: Claim) -> bool:
        """True for a server of our region whose data are of another cluster."""
        both = bool(self.me.cluster_id and claim.cluster_id)
        return both and claim.region == self.me.region and claim.cluster_id != self.me.cluster_id

    def answers_raft(self, server_id: str, within_s: float) -> bool:
        """True if that server has answered this leader's requests within so many seconds."""
        if server_id == self.me.id:
            return True
        peer = self.peers.get(server_id)
        return peer is not None and self.now - peer.contact_at < within_s

    def removed_at(self, server_id: str) -> int:
        """The index at which an operator removed it; 0 if that has not happened, or is undone."""
        record = self.records.get(server_id)
        return record.modify_index if record is not None and record.removed else 0

    def name_of(self, server_id: str) -> str:
        """The name of a server, for people."""
        for claim in self.pool:
            if claim.id == server_id:
                return claim.name
        record = self.records.get(server_id)
        return record.name if record is not None else "(unknown)"
