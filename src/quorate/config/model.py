"""The agent configuration as one immutable value.

See docs/configuration.md#top-level, #server and #autopilot.

Every field written with `key(...)` is a key of the configuration files; a record is a block.
Names are those of the files. A field that ends in `_ns` is a duration in whole nanoseconds; its
key has no such ending. Invariant: an `AgentConfig` that came from `load` has passed every check
of `check` and has its addresses resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from quorate.config.keys.spec import Effect, Kind, Merge, key
from quorate.config.read.filters import AuditFilter
from quorate.config.read.value import Source
from quorate.wire.go.duration import HOUR, MILLISECOND, MINUTE, SECOND

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
_NO_FILTERS: Mapping[str, AuditFilter] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Addresses to bind to. `http` may name several, separated by blanks.

    See docs/configuration.md#top-level.
    """

    http: str = key("")
    rpc: str = key("")
    serf: str = key("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports to bind to. Without gossip nothing listens on `serf`: it is only told to members."""

    http: int = key(4646)
    rpc: int = key(4647)
    serf: int = key(4648)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertise:
    """Where others reach this agent; "host:port" once resolved."""

    http: str = key("")
    rpc: str = key("")
    serf: str = key("")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerJoin:
    """How to find servers that run already."""

    retry_join: tuple[str, ...] = key(())
    retry_interval_ns: int = key(30 * SECOND)
    retry_max: int = key(0)
    start_join: tuple[str, ...] = key(())


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionConfig:
    """Which schedulers may preempt."""

    system_scheduler_enabled: bool = key(True, merge=Merge.GIVEN)
    sysbatch_scheduler_enabled: bool = key(False, merge=Merge.GIVEN)
    batch_scheduler_enabled: bool = key(False, merge=Merge.GIVEN)
    service_scheduler_enabled: bool = key(False, merge=Merge.GIVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultSchedulerConfig:
    """The record that the first leader stores when no scheduler configuration is there."""

    scheduler_algorithm: str = key("binpack")
    memory_oversubscription_enabled: bool = key(False)
    reject_job_registration: bool = key(False)
    pause_eval_broker: bool = key(False)
    node_limit_for_feasibility_checks: int = key(0)
    preemption_config: PreemptionConfig = field(default_factory=PreemptionConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server block (docs/configuration.md#server)."""

    enabled: bool = key(False)
    bootstrap_expect: int = key(0)
    initial_servers: tuple[str, ...] = key(())
    authoritative_region: str = key("")
    raft_protocol: int = key(3)
    raft_multiplier: int = key(1, merge=Merge.GIVEN, effect=Effect.LIVE)
    lease_reads: bool = key(True, effect=Effect.LIVE)
    raft_snapshot_threshold: int = key(8192, merge=Merge.GIVEN, effect=Effect.LIVE, minimum=1)
    raft_snapshot_interval_ns: int = key(120 * SECOND, merge=Merge.GIVEN, effect=Effect.LIVE)
    raft_trailing_logs: int = key(10240, merge=Merge.GIVEN, effect=Effect.LIVE, minimum=1)
    raft_log_bytes_max: int = key(1 << 30, effect=Effect.LIVE, minimum=16 << 20)
    state_bytes_max: int = key(0, minimum=0)
    state_check_interval_ns: int = key(30 * SECOND, merge=Merge.GIVEN, effect=Effect.LIVE)
    gossip: str = key("auto")
    gossip_profile: str = key("lan")
    rejoin_after_leave: bool = key(False)
    unproven_peers: tuple[str, ...] = key(())
    wrapping_key_file: str = key("")
    wrapping_key_env: str = key("")
    wrapping_key_command: tuple[str, ...] = key(())
    encrypt: str = key("", secret=True)
    retry_join: tuple[str, ...] = key((), merge=Merge.APPEND)
    retry_interval_ns: int = key(0)
    retry_max: int = key(0)
    start_join: tuple[str, ...] = key((), merge=Merge.APPEND)
    server_join: ServerJoin = field(default_factory=ServerJoin)
    default_scheduler_config: DefaultSchedulerConfig = field(default_factory=DefaultSchedulerConfig)

    @property
    def join(self) -> ServerJoin:
        """The settings for joining: the `server_join` block, or the same keys in their old place.

        `check` has seen to it that the lists are in one of the places only.
        """
        block = self.server_join
        return ServerJoin(
            retry_join=block.retry_join or self.retry_join,
            retry_interval_ns=self.retry_interval_ns or block.retry_interval_ns,
            retry_max=self.retry_max or block.retry_max,
            start_join=block.start_join or self.start_join,
        )

    @property
    def gossips(self) -> bool:
        """Whether the servers find each other by gossip, or are a fixed list.

        A file that lists the founders has chosen the list, unless servers to join stand beside it.
        """
        if self.gossip != "auto":
            return self.gossip == "on"
        join = self.join
        return not self.initial_servers or bool(join.retry_join or join.start_join)


@dataclass(frozen=True, slots=True, kw_only=True)
class Autopilot:
    """The record that the first leader stores when no autopilot configuration is there.

    See docs/configuration.md#autopilot.
    """

    cleanup_dead_servers: bool = key(True, merge=Merge.GIVEN)
    last_contact_threshold_ns: int = key(200 * MILLISECOND)
    max_trailing_logs: int = key(250)
    min_quorum: int = key(0)
    server_stabilization_time_ns: int = key(10 * SECOND)
    enable_redundancy_zones: bool = key(False, merge=Merge.GIVEN)
    disable_upgrade_migration: bool = key(False, merge=Merge.GIVEN)
    enable_custom_upgrades: bool = key(False, merge=Merge.GIVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """Access control (docs/acl.md). No caller is kept for a time here: a change counts at once.

    `token_ttl` is how long tokens count at a server that does not hear the leader.
    """

    enabled: bool = key(False)
    transition: bool = key(False)
    token_ttl_ns: int = key(30 * SECOND, minimum=SECOND)
    policy_ttl_ns: int = key(30 * SECOND, effect=Effect.GRANTED)
    role_ttl_ns: int = key(30 * SECOND, effect=Effect.GRANTED)
    replication_token: str = key("", effect=Effect.NONE, secret=True)
    token_min_expiration_ttl_ns: int = key(MINUTE, minimum=SECOND)
    token_max_expiration_ttl_ns: int = key(24 * HOUR, minimum=SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Encryption of the HTTP and the RPC port (docs/tls.md). The files are read again at SIGHUP."""

    http: bool = key(False, effect=Effect.RESTART)
    rpc: bool = key(False, effect=Effect.RESTART)
    ca_file: str = key("", effect=Effect.LIVE)
    cert_file: str = key("", effect=Effect.LIVE)
    key_file: str = key("", effect=Effect.LIVE)
    crl_file: str = key("", effect=Effect.LIVE)
    verify_server_hostname: bool = key(False, effect=Effect.GRANTED)
    verify_server_id: bool = key(False, effect=Effect.RESTART)
    verify_https_client: bool = key(False, effect=Effect.RESTART)
    rpc_upgrade_mode: bool = key(False, effect=Effect.RESTART)
    tls_cipher_suites: str = key("", effect=Effect.LIVE)
    tls_min_version: str = key("", effect=Effect.LIVE)
    tls_prefer_server_cipher_suites: bool = key(False, effect=Effect.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """The settings of metrics: which are measured, and how they are shown."""

    prometheus_metrics: bool = key(False)
    disable_hostname: bool = key(False)
    in_memory_collection_interval_ns: int = key(10 * SECOND, minimum=SECOND)
    prefix_filter: tuple[str, ...] = key((), effect=Effect.NONE)
    filter_default: bool = key(True, merge=Merge.GIVEN, effect=Effect.NONE)
    collection_interval_ns: int = key(SECOND, minimum=SECOND // 10)
    in_memory_retention_period_ns: int = key(MINUTE, effect=Effect.NONE)
    use_node_name: bool = key(False)
    publish_node_metrics: bool = key(False, effect=Effect.NONE)
    publish_allocation_metrics: bool = key(False, effect=Effect.NONE)
    disable_dispatched_job_summary_metrics: bool = key(False, effect=Effect.NONE)
    statsd_address: str = key("")
    statsite_address: str = key("", effect=Effect.NONE)
    datadog_address: str = key("", effect=Effect.NONE)
    datadog_tags: tuple[str, ...] = key((), effect=Effect.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The backups that the leader makes (docs/backups.md). No key of it is secret."""

    schedule: str = key("")
    target: str = key("")
    retain: int = key(7, minimum=1)
    deadline_ns: int = key(HOUR, minimum=SECOND)
    endpoint: str = key("")
    region: str = key("")
    credentials_file: str = key("")
    restore_from: str = key("")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSink:
    """The file of audit events. It has a label, and there is one only."""

    type: str = key("file")
    delivery_guarantee: str = key("best-effort")
    format: str = key("json")
    path: str = key("")
    mode: str = key("0600")
    rotate_bytes: int = key(0)
    rotate_duration_ns: int = key(24 * HOUR, minimum=SECOND)
    rotate_max_files: int = key(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Whether events of requests are written to a file (docs/audit.md)."""

    enabled: bool = key(False)
    sink: AuditSink = field(default_factory=AuditSink)
    filter: Mapping[str, AuditFilter] = key(_NO_FILTERS, merge=Merge.MAP, kind=Kind.FILTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on connections; 0 of them is no bound."""

    http_max_conns_per_client: int = key(100, merge=Merge.GIVEN)
    rpc_max_conns_per_client: int = key(100, merge=Merge.GIVEN)
    rpc_handshake_timeout_ns: int = key(5 * SECOND, merge=Merge.GIVEN, minimum=MILLISECOND)
    https_handshake_timeout_ns: int = key(5 * SECOND, merge=Merge.GIVEN, minimum=MILLISECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Whether the agent runs jobs. Quorate is a server only."""

    enabled: bool = key(False, effect=Effect.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Everything an agent is told.

    Not keys: `dev_mode` (state in memory, no data folder); `files`, those read, in order;
    `sources`, where each key that was set was set last; `without_effect`, what was set and does
    nothing here, by key.
    """

    region: str = key("global")
    datacenter: str = key("dc1")
    name: str = key("")
    data_dir: str = key("")
    bind_addr: str = key("0.0.0.0")  # noqa: S104 - the documented default of the API's agents
    log_level: str = key("INFO", effect=Effect.LIVE)
    log_json: bool = key(False)
    log_file: str = key("")
    log_rotate_bytes: int = key(0)
    log_rotate_duration_ns: int = key(24 * HOUR)
    log_rotate_max_files: int = key(0)
    log_include_location: bool = key(False)
    enable_syslog: bool = key(False)
    syslog_facility: str = key("LOCAL0")
    enable_debug: bool = key(False)
    leave_on_interrupt: bool = key(False)
    leave_on_terminate: bool = key(False)
    disable_update_check: bool = key(False, effect=Effect.GRANTED)
    disable_anonymous_signature: bool = key(False, effect=Effect.GRANTED)
    http_api_response_headers: Mapping[str, str] = key(_NO_TEXTS, merge=Merge.MAP)
    http_hosts: tuple[str, ...] = key(())
    addresses: Addresses = field(default_factory=Addresses)
    ports: Ports = field(default_factory=Ports)
    advertise: Advertise = field(default_factory=Advertise)
    server: Server = field(default_factory=Server)
    client: Client = field(default_factory=Client)
    acl: Acl = field(default_factory=Acl)
    audit: Audit = field(default_factory=Audit)
    autopilot: Autopilot = field(default_factory=Autopilot)
    tls: Tls = field(default_factory=Tls)
    telemetry: Telemetry = field(default_factory=Telemetry)
    backup: Backup = field(default_factory=Backup)
    limits: Limits = field(default_factory=Limits)

    dev_mode: bool = False
    files: tuple[str, ...] = field(default=(), compare=False)
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)
    without_effect: Mapping[str, Any] = field(default_factory=dict)
