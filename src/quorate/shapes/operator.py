"""The Raft configuration, what each server believes, and the check of an upgrade.

See docs/http-api.md#endpoints.
"""

from __future__ import annotations

import msgspec


class RaftServer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server of the Raft configuration, as an operator sees it.

    The last three are ours, left out where they are empty. `last_contact` (RFC 3339, UTC) is when
    a server that no longer answers was heard last, `last_name` what a server was called whose
    `node` is "(unknown)" now.
    """

    address: str = ""
    id: str = msgspec.field(name="ID", default="")
    leader: bool = False
    node: str = ""  # "<name>.<region>", "(unknown)" if nobody ever told
    raft_protocol: str = ""  # "3", "unknown"
    voter: bool = False
    last_contact: str = ""
    last_name: str = ""
    status: str = ""  # alive, leaving, left, failed; unknown: in Raft, but never seen in the pool

    @property
    def state(self) -> str:
        """`leader` or `follower`, as list-peers shows it."""
        return "leader" if self.leader else "follower"


class RaftConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The newest configuration and the index of its log entry, 0 from servers without one."""

    index: int = 0
    servers: tuple[RaftServer, ...] = ()


class TransferEnd(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A server that had, or has, leadership."""

    address: str = ""
    id: str = msgspec.field(name="ID", default="")


class Transfer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/raft/transfer-leadership`. `noop`: the target led already."""

    err: None = None
    from_: TransferEnd = msgspec.field(name="From", default=TransferEnd())
    noop: bool = False
    to: TransferEnd = TransferEnd()


class VoterOfView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server of a configuration as another one has it."""

    address: str = ""
    id: str = msgspec.field(name="ID", default="")
    voter: bool = False


class ConfigurationOfView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A configuration as one server has it, and the index of its log entry."""

    index: int = 0
    servers: tuple[VoterOfView, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The view of one server; `error` is why it could not be asked, or empty.

    Where `error` says why, `configuration` is null (here: empty), and all numbers are 0. `state` is
    right, damaged, disagree or unchecked: what comparing the servers' states said of it; or twice
    or namesake: another live server uses its ID, or has its name.
    `held` is why it has stopped applying the log, or empty.
    """

    address: str = ""
    commit_index: int = 0
    configuration: ConfigurationOfView = ConfigurationOfView()
    error: str = ""
    held: str = ""
    id: str = msgspec.field(name="ID", default="")
    last_contact_ms: int = 0
    last_index: int = 0
    leader: str = ""
    leader_id: str = msgspec.field(name="LeaderID", default="")
    node: str = ""
    role: str = ""
    state: str = ""
    term: int = 0


class FactsSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The entry up to which the newest snapshot reaches; 0 without one."""

    index: int = 0
    term: int = 0


class MemberOfFacts(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server of the configuration. `key` is its public key, empty where none is known."""

    address: str = ""
    id: str = msgspec.field(name="ID", default="")
    key: bytes = b""
    voter: bool = False


class ConfigurationOfFacts(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The newest configuration in the log, and the index of its entry."""

    index: int = 0
    servers: tuple[MemberOfFacts, ...] = ()


class RaftFacts(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/facts` (ours): the log and the identity of the server that answers.

    `commit_index` is known here to be committed; the cluster may have committed more.
    `epoch_bits` are hexadecimal. `start` counts the starts of the data folder. `role` is leader,
    follower or candidate; `leader` is an address, empty where none is known. `state` and `held` are
    as in a `View`. `storage_full`: no write is taken for want of room. `prepared` is the digest of
    the plan of a recovery for which the server is prepared, or empty.
    All but `id`, `node`, `region`, `cluster_id` and `start` are of the moment.
    """

    address: str = ""
    applied_index: int = 0
    cluster_id: str = msgspec.field(name="ClusterID", default="")
    commit_index: int = 0
    configuration: ConfigurationOfFacts = ConfigurationOfFacts()
    epoch: int = 0
    epoch_bits: str = ""
    first_index: int = 0
    held: str = ""
    id: str = msgspec.field(name="ID", default="")
    last_contact_ms: int = 0
    last_index: int = 0
    last_term: int = 0
    leader: str = ""
    leader_id: str = msgspec.field(name="LeaderID", default="")
    level: int = 0
    node: str = ""
    prepared: str = ""
    region: str = ""
    role: str = ""
    snapshot: FactsSnapshot = FactsSnapshot()
    start: int = 0
    state: str = ""
    storage_full: bool = False
    term: int = 0
    version: str = ""
    vote_term: int = 0
    voted_for: str = ""


class LiveRecovery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`operator/recovery` (ours, on the control socket): how a recovery while running stands.

    `plan` is the digest of the plan, `plan_epoch` the epoch that it begins, `leads` the ID of the
    survivor that decides. `prepared` until `until_ms` (Unix time), unless it is carried out. Once
    it was, `index` is the entry at which the server goes on, `kept` the folder of what was before.
    """

    server_id: str = msgspec.field(name="ServerID", default="")
    epoch: str = ""
    plan: str = ""
    plan_epoch: str = ""
    leads: str = ""
    prepared: bool = False
    until_ms: int = 0
    becomes_committed: str = ""
    may_be_lost: str = ""
    index: int = 0
    kept: str = ""


class UpgradeServer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A member in the check of an upgrade; `level` is None where `error` says why.

    `waits` is why it holds the feature level back, `held` why it has stopped applying the log.
    """

    address: str = ""
    error: str = ""
    held: str = ""
    id: str = msgspec.field(name="ID", default="")
    leader: bool = False
    level: int | None = None
    node: str = ""
    version: str = ""
    voter: bool = False
    waits: str = ""


class UpgradeCheck(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/upgrade` (ours). `servers` are in the order to restart them in, leader last.

    `level` is the cluster's feature level, `goal` the highest that one of its servers knows.
    `may_mix` says which versions may run side by side at this level.
    """

    goal: int = 0
    level: int = 0
    may_mix: str = ""
    servers: tuple[UpgradeServer, ...] = ()


class ServerHealth(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server in `GET operator/autopilot/health`, in the order of today's servers.

    `last_contact` is a Go duration, `-1ns` if there was none; `stable_since` is RFC 3339.
    """

    last_contact: str = ""
    id: str = msgspec.field(name="ID", default="")
    name: str = ""
    address: str = ""
    serf_status: str = ""
    version: str = ""
    leader: bool = False
    last_term: int = 0
    last_index: int = 0
    healthy: bool = False
    voter: bool = False
    stable_since: str = ""


class OperatorHealth(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/autopilot/health`. A leader without a table yet has None for its servers.

    `warnings` and `audit_head` are ours, left out where they are empty: members with little room on
    the disk, say; and the head of the audit log, hexadecimal.
    """

    failure_tolerance: int = 0
    healthy: bool = False
    leader: str = ""
    servers: tuple[ServerHealth, ...] | None = None
    voters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    audit_head: str = ""


class RestoredTable(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a restore does to one table, in rows. `rule` is replaced, kept, or what else.

    Of what else the words are those of each table: "replaced, unlocked", "ended", "both".
    """

    table: str = ""
    rule: str = ""
    added: int = 0
    changed: int = 0
    deleted: int = 0
    same: int = 0


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/snapshot` with `details` or `dry-run`.

    `id` is the archive's, `index` that of the state after it, 0 if nothing was changed;
    `safety_snapshot` is the file of the state before it, on the leader.
    """

    id: str = msgspec.field(name="ID", default="")
    index: int = 0
    safety_snapshot: str = ""
    tables: tuple[RestoredTable, ...] = ()
