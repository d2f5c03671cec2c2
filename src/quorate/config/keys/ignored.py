"""The keys of the same configuration files that mean nothing to Quorate.

They are accepted, so that a file written for other agents can be used as it is, their types are
checked, and one warning names them. `ANY` stands for whole blocks that are not even looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from quorate.config.keys.spec import Key, Kind, Merge


def _keys(kind: Kind, *names: str, merge: Merge = Merge.SET) -> dict[str, Key]:
    return dict.fromkeys(names, Key(kind=kind, merge=merge))


TOP: Final = MappingProxyType(
    _keys(Kind.STRING, "plugin_dir")
    | _keys(
        Kind.ANY,
        "consul",
        "keyring",
        "plugin",
        "reporting",
        "sentinel",
        "ui",
        "vault",
    )
)

SERVER: Final = MappingProxyType(
    _keys(
        Kind.DURATION,
        "acl_token_gc_threshold",
        "batch_eval_gc_threshold",
        "csi_plugin_gc_threshold",
        "csi_volume_claim_gc_interval",
        "csi_volume_claim_gc_threshold",
        "deployment_gc_threshold",
        "eval_gc_threshold",
        "failover_heartbeat_ttl",
        "heartbeat_grace",
        "job_gc_interval",
        "job_gc_threshold",
        "min_heartbeat_ttl",
        "node_gc_threshold",
        "root_key_gc_interval",
        "root_key_gc_threshold",
        "root_key_rotation_threshold",
        "start_timeout",
    )
    | _keys(
        Kind.INT,
        "event_buffer_size",
        "job_default_priority",
        "job_max_priority",
        "job_tracked_versions",
        "num_schedulers",
        "protocol_version",
        merge=Merge.GIVEN,
    )
    | _keys(Kind.FLOAT, "deployment_query_rate_limit", "max_heartbeats_per_second")
    | _keys(Kind.BOOL, "enable_event_broker", merge=Merge.GIVEN)
    | _keys(Kind.BOOL, "non_voting_server")
    | _keys(
        Kind.STRING,
        "data_dir",
        "license_path",
        "oidc_issuer",
        "redundancy_zone",
        "upgrade_version",
    )
    | _keys(Kind.LIST, "enabled_schedulers", merge=Merge.APPEND)
    | _keys(
        Kind.ANY,
        "client_introduction",
        "plan_rejection_tracker",
        "raft_boltdb",
        "raft_logstore",
        "search",
    )
)

TELEMETRY: Final = MappingProxyType(
    _keys(
        Kind.STRING,
        "circonus_api_app",
        "circonus_api_token",
        "circonus_api_url",
        "circonus_broker_id",
        "circonus_broker_select_tag",
        "circonus_check_display_name",
        "circonus_check_force_metric_activation",
        "circonus_check_id",
        "circonus_check_instance_id",
        "circonus_check_search_tag",
        "circonus_check_tags",
        "circonus_submission_interval",
        "circonus_submission_url",
    )
    | _keys(
        Kind.BOOL,
        "backwards_compatible_metrics",
        "disable_allocation_hook_metrics",
        "disable_quota_utilization_metrics",
        "disable_rpc_rate_metrics_labels",
        "disable_tagged_metrics",
        "include_alloc_metadata_in_metrics",
    )
    | _keys(Kind.LIST, "allowed_metadata_keys_in_metrics")
)

IGNORED: Final[Mapping[str, Mapping[str, Key]]] = MappingProxyType(
    {"": TOP, "server": SERVER, "telemetry": TELEMETRY}
)
"""By the dotted name of the block."""

FREE: Final = frozenset({"client", "backup"})
"""Blocks in which every key that the model does not have is accepted without effect."""
