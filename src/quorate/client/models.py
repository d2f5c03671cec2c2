"""What the endpoints answer, as values (http-api, sections 2 to 4 and 8 to 10).

Invariant: any compatible server's answer can be read. A field that is missing or null takes its
default, an unknown one is ignored by type but kept: `raw` of the outermost value is the whole
answer, so that nothing a newer server says is lost when it is shown or written back.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
RAW = "(raw)"  # no field of the API has such a name


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Base of the answers that are one object; `raw` is that object as it came."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class RaftServer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server of the Raft configuration. The last three are Quorate's alone, else empty."""

    id: str = msgspec.field(name="ID", default="")
    node: str = ""
    address: str = ""
    leader: bool = False
    voter: bool = False
    raft_protocol: str = ""
    status: str = ""
    last_contact: str = ""
    last_name: str = ""

    @property
    def state(self) -> str:
        """`leader` or `follower`, as list-peers shows it."""
        return "leader" if self.leader else "follower"


class RaftConfiguration(Model, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/configuration`. `index` is 0 from servers that do not know it."""

    index: int = 0
    servers: tuple[RaftServer, ...] = ()


class VoterOfView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server of a configuration as another one has it."""

    id: str = msgspec.field(name="ID", default="")
    address: str = ""
    voter: bool = False


class ConfigurationOfView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A configuration as one server has it, and the index of its log entry."""

    index: int = 0
    servers: tuple[VoterOfView, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What one server believes; `error` is why it could not be asked, or empty.

    `state` is right, damaged, disagree or unchecked: what comparing the servers' states said of it.
    `held` is why it has stopped applying the log, or empty.
    """

    id: str = msgspec.field(name="ID", default="")
    node: str = ""
    address: str = ""
    error: str = ""
    role: str = ""
    state: str = ""
    term: int = 0
    leader: str = ""
    leader_id: str = msgspec.field(name="LeaderID", default="")
    last_contact_ms: int = 0
    last_index: int = 0
    commit_index: int = 0
    held: str = ""
    configuration: ConfigurationOfView = ConfigurationOfView()


class UpgradeServer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A member in the check of an upgrade; `level` is None where `error` says why.

    `waits` is why it holds the feature level back, `held` why it has stopped applying the log.
    """

    id: str = msgspec.field(name="ID", default="")
    node: str = ""
    address: str = ""
    version: str = ""
    level: int | None = None
    leader: bool = False
    voter: bool = False
    error: str = ""
    held: str = ""
    waits: str = ""


class UpgradeCheck(Model, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/upgrade` (Quorate's alone). `servers` are in the order to restart them in.

    `level` is the cluster's feature level, `goal` the highest that one of its servers knows.
    """

    level: int = 0
    goal: int = 0
    may_mix: str = ""
    servers: tuple[UpgradeServer, ...] = ()


class Views(Model, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/views` (Quorate's alone)."""

    servers: tuple[View, ...] = ()


class Joined(Model, frozen=True, kw_only=True, rename="lower"):
    """`PUT agent/join`. `error` is why none was reached, `warning` why some were not."""

    num_joined: int = 0
    error: str = ""
    warning: str = ""


class Rejoined(Model, frozen=True, kw_only=True, rename="pascal"):
    """`PUT agent/rejoin` (Quorate's alone)."""

    id: str = msgspec.field(name="ID", default="")
    moved_aside: str = ""


class Keyring(Model, frozen=True, kw_only=True, rename="pascal"):
    """`agent/keyring/<operation>`.

    The last four come from Quorate only, and if details were asked for; `primary_keys` and
    `num_resp` are None from others.
    """

    keys: dict[str, int] = {}
    messages: dict[str, str] = {}
    num_nodes: int = 0
    num_err: int = 0
    num_resp: int | None = None
    primary_keys: dict[str, int] | None = None
    unanswered: tuple[str, ...] = ()


class TransferEnd(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Who had, or who has, leadership."""

    id: str = msgspec.field(name="ID", default="")
    address: str = ""


class Transfer(Model, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/raft/transfer-leadership`. `noop`: the target led already."""

    from_: TransferEnd = msgspec.field(name="From", default=TransferEnd())
    to: TransferEnd = TransferEnd()
    noop: bool = False


class AutopilotConfiguration(Model, frozen=True, kw_only=True, rename="pascal"):
    """`operator/autopilot/configuration`. Durations are Go duration texts (`200ms`)."""

    cleanup_dead_servers: bool = False
    last_contact_threshold: str = "0s"
    max_trailing_logs: int = 0
    min_quorum: int = 0
    server_stabilization_time: str = "0s"
    enable_redundancy_zones: bool = False
    disable_upgrade_migration: bool = False
    enable_custom_upgrades: bool = False
    create_index: int = 0
    modify_index: int = 0


class PreemptionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which schedulers may preempt."""

    system_scheduler_enabled: bool = False
    sys_batch_scheduler_enabled: bool = False
    batch_scheduler_enabled: bool = False
    service_scheduler_enabled: bool = False


class SchedulerConfiguration(Model, frozen=True, kw_only=True, rename="pascal"):
    """The `SchedulerConfig` of `operator/scheduler/configuration`; `raw` is that object."""

    scheduler_algorithm: str = ""
    preemption_config: PreemptionConfig = PreemptionConfig()
    memory_oversubscription_enabled: bool = False
    reject_job_registration: bool = False
    pause_eval_broker: bool = False
    create_index: int = 0
    modify_index: int = 0


class SchedulerUpdate(Model, frozen=True, kw_only=True, rename="pascal"):
    """Answer to `PUT operator/scheduler/configuration`. `updated` is False when cas lost."""

    updated: bool = False
    index: int = 0


class Member(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One member of the pool. `status` is alive, leaving, left or failed."""

    name: str = ""
    addr: str = ""
    port: int = 0
    status: str = ""
    tags: dict[str, str] = {}
    protocol_cur: int = 0

    @property
    def rpc_address(self) -> str:
        """`IP:port` of its RPC service, as `status/leader` gives it."""
        host = self.tags.get("rpc_addr") or self.addr
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.tags.get('port', '')}"


class Members(Model, frozen=True, kw_only=True, rename="pascal"):
    """`GET agent/members`: the pool as the asked agent sees it."""

    members: tuple[Member, ...] = ()
    server_name: str = ""
    server_region: str = ""
    server_dc: str = msgspec.field(name="ServerDC", default="")


class AgentSelf(Model, frozen=True, kw_only=True, rename="lower"):
    """`GET agent/self` (its top keys are lower case)."""

    config: dict[str, Any] = {}
    member: Member = Member()
    stats: dict[str, dict[str, Any]] = {}


class HealthOf(msgspec.Struct, frozen=True, kw_only=True):
    """Health of one part of an agent."""

    ok: bool = False
    message: str = ""


class Health(Model, frozen=True, kw_only=True, rename="lower"):
    """`GET agent/health`. A part that was not asked about, or is not there, is None."""

    server: HealthOf | None = None
    client: HealthOf | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A counter or a timing of one interval."""

    name: str = ""
    labels: dict[str, str] = {}
    count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    mean: float = 0.0
    stddev: float = 0.0
    rate: float = 0.0


class Gauge(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A value that goes up and down."""

    name: str = ""
    labels: dict[str, str] = {}
    value: float = 0.0


class Metrics(Model, frozen=True, kw_only=True, rename="pascal"):
    """`GET metrics`: the last complete interval."""

    timestamp: str = ""
    counters: tuple[Sample, ...] = ()
    samples: tuple[Sample, ...] = ()
    gauges: tuple[Gauge, ...] = ()


def from_json(data: Any, model: type[T]) -> T:
    """Build `model` from decoded JSON. Raises msgspec.ValidationError naming the wrong field."""
    cleaned = _without_nulls(data)
    if isinstance(cleaned, dict):
        cleaned[RAW] = data
    return msgspec.convert(cleaned, model, strict=False)


def to_json(value: Model) -> dict[str, Any]:
    """The object to write back: the fields of `value` over whatever else it came with."""
    known = msgspec.to_builtins(value)
    raw = known.pop(RAW)
    merged: dict[str, Any] = {**raw, **known}
    for key, inner in known.items():
        if isinstance(inner, dict) and isinstance(raw.get(key), dict):
            merged[key] = {**raw[key], **inner}
    return merged


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_nulls(v) for k, v in data.items() if v is not None}
    if isinstance(data, list):
        return [_without_nulls(v) for v in data]
    return data
