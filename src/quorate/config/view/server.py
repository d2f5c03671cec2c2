"""The `Server` part of the configuration as GET /v1/agent/self shows it (see `view`)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate.config.model import AgentConfig, DefaultSchedulerConfig, ServerJoin
from quorate.shapes.settings import SchedulerConfiguration
from quorate.shapes.shape import made
from quorate.wire.go.duration import format_duration

_WITHOUT_EFFECT: Final[dict[str, tuple[str, Any]]] = {
    "CSIPluginGCThreshold": ("csi_plugin_gc_threshold", ""),
    "CSIVolumeClaimGCThreshold": ("csi_volume_claim_gc_threshold", ""),
    "DataDir": ("data_dir", ""),
    "DeploymentGCThreshold": ("deployment_gc_threshold", ""),
    "EnabledSchedulers": ("enabled_schedulers", None),
    "EvalGCThreshold": ("eval_gc_threshold", ""),
    "HeartbeatGrace": ("heartbeat_grace", 0),
    "JobGCInterval": ("job_gc_interval", ""),
    "JobGCThreshold": ("job_gc_threshold", ""),
    "MaxHeartbeatsPerSecond": ("max_heartbeats_per_second", 0.0),
    "MinHeartbeatTTL": ("min_heartbeat_ttl", 0),
    "NodeGCThreshold": ("node_gc_threshold", ""),
    "NonVotingServer": ("non_voting_server", False),
    "NumSchedulers": ("num_schedulers", None),
    "ProtocolVersion": ("protocol_version", 0),
    "RedundancyZone": ("redundancy_zone", ""),
    "UpgradeVersion": ("upgrade_version", ""),
}
"""Go name to key and to what is shown while it is not set. "" marks durations shown as text."""


def set_or_null(config: AgentConfig, key: str, value: Any) -> Any:
    """The value, or null as long as nobody set the key."""
    return value if key in config.sources else None


def server_view(config: AgentConfig) -> dict[str, Any]:
    """The block, sorted by name. What has no effect is shown as it was set."""
    server = config.server
    interval = format_duration(server.raft_snapshot_interval_ns)

    def given(name: str, value: Any) -> Any:
        return set_or_null(config, f"server.{name}", value)

    view = {
        "AuthoritativeRegion": server.authoritative_region,
        "BootstrapExpect": server.bootstrap_expect,
        "DefaultSchedulerConfig": _scheduler(config),
        "EnableEventBroker": False,  # there is none
        "Enabled": server.enabled,
        "EventBufferSize": 0,
        "Gossip": "on" if server.gossips else "off",
        "GossipProfile": server.gossip_profile,
        "InitialServers": list(server.initial_servers),
        "LeaseReads": server.lease_reads,
        "RaftLogBytesMax": server.raft_log_bytes_max,
        "RaftMultiplier": given("raft_multiplier", server.raft_multiplier),
        "RaftProtocol": server.raft_protocol,
        "RaftSnapshotInterval": given("raft_snapshot_interval", interval),
        "RaftSnapshotThreshold": given("raft_snapshot_threshold", server.raft_snapshot_threshold),
        "RaftTrailingLogs": given("raft_trailing_logs", server.raft_trailing_logs),
        "RejoinAfterLeave": server.rejoin_after_leave,
        "RetryInterval": server.retry_interval_ns,
        "RetryJoin": list(server.retry_join),
        "RetryMaxAttempts": server.retry_max,
        "ServerJoin": _join(server.server_join),
        "StartJoin": list(server.start_join),
        "StateBytesMax": server.state_bytes_max,
        "StateCheckInterval": format_duration(server.state_check_interval_ns),
        "UnprovenPeers": list(server.unproven_peers),
        "WrappingKeyCommand": list(server.wrapping_key_command[:1]),  # its words may be secret
        "WrappingKeyEnv": server.wrapping_key_env,
        "WrappingKeyFile": server.wrapping_key_file,
    }
    for go_name, (key, unset) in _WITHOUT_EFFECT.items():
        view[go_name] = _as_set(config, key, unset)
    return dict(sorted(view.items()))


def _as_set(config: AgentConfig, key: str, unset: Any) -> Any:
    value = config.without_effect.get(f"server.{key}", unset)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, int) and isinstance(unset, str):
        return format_duration(value)
    return value


def _join(join: ServerJoin) -> dict[str, Any]:
    return {
        "RetryInterval": join.retry_interval_ns,
        "RetryJoin": list(join.retry_join),
        "RetryMaxAttempts": join.retry_max,
        "StartJoin": list(join.start_join) or None,
    }


def _scheduler(config: AgentConfig) -> dict[str, Any] | None:
    """As in the answer of /v1/operator/scheduler/configuration; null if nothing of it was set."""
    if not any(key.startswith("server.default_scheduler_config.") for key in config.sources):
        return None
    scheduler: DefaultSchedulerConfig = config.server.default_scheduler_config
    shown: dict[str, Any] = msgspec.to_builtins(
        made(SchedulerConfiguration, scheduler, scheduler.preemption_config)
    )
    return shown
