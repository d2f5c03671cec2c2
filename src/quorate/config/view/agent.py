"""The `config` of GET /v1/agent/self: the configuration in force, under Go field names.

Shapes and types are those of the golden cases r3-agent-self and enc-agent-self-encrypted
(docs/http-api.md#the-pool): a value that is a pointer there is null while nobody set it. Parts that
Quorate has no counterpart of (Consul, Vault, ...) are left out. The gossip key is left out, other
secrets are shown as `<redacted>`. `Backup` and `HTTPHosts` are ours, and of `Server`
`InitialServers`, `Gossip` and `GossipProfile`.
"""

from __future__ import annotations

from typing import Any

from quorate.config.model import AgentConfig
from quorate.config.view.server import server_view, set_or_null
from quorate.shapes.agent import COMPATIBLE_BUILD
from quorate.version import __version__
from quorate.wire.go.duration import format_duration

_REDACTED = "<redacted>"


def config_view(config: AgentConfig) -> dict[str, Any]:
    """A new dict of plain JSON values."""
    return {
        "ACL": _acl(config),
        "Addresses": _three(config.addresses),
        "AdvertiseAddrs": _three(config.advertise),
        "Autopilot": _autopilot(config),
        "Backup": _backup(config),
        "BindAddr": config.bind_addr,
        "Client": {"Enabled": config.client.enabled},
        "DataDir": config.data_dir,
        "Datacenter": config.datacenter,
        "DevMode": config.dev_mode,
        "DisableAnonymousSignature": config.disable_anonymous_signature,
        "DisableUpdateCheck": config.disable_update_check,
        "EnableDebug": config.enable_debug,
        "EnableSyslog": config.enable_syslog,
        "Files": list(config.files) or None,
        "HTTPAPIResponseHeaders": dict(config.http_api_response_headers),
        "HTTPHosts": list(config.http_hosts) or None,
        "LeaveOnInt": config.leave_on_interrupt,
        "LeaveOnTerm": config.leave_on_terminate,
        "Limits": _limits(config),
        **_log(config),
        "NodeName": config.name,
        "Ports": _three(config.ports),
        "Region": config.region,
        "Server": server_view(config),
        "SyslogFacility": config.syslog_facility,
        "TLSConfig": _tls(config),
        "Telemetry": _telemetry(config),
        "Version": {
            "Revision": "",
            "Version": COMPATIBLE_BUILD,
            "VersionMetadata": f"quorate.{__version__}",
            "VersionPrerelease": "",
        },
    }


def _secret(value: str) -> str:
    return _REDACTED if value else ""


def _three(block: Any) -> dict[str, Any]:
    return {"HTTP": block.http, "RPC": block.rpc, "Serf": block.serf}


def _acl(config: AgentConfig) -> dict[str, Any]:
    acl = config.acl
    return {
        "Enabled": acl.enabled,
        "PolicyTTL": acl.policy_ttl_ns,
        "ReplicationToken": _secret(acl.replication_token),
        "RoleTTL": acl.role_ttl_ns,
        "TokenMaxExpirationTTL": acl.token_max_expiration_ttl_ns,
        "TokenMinExpirationTTL": acl.token_min_expiration_ttl_ns,
        "TokenTTL": acl.token_ttl_ns,
        "Transition": acl.transition,
    }


def _autopilot(config: AgentConfig) -> dict[str, Any]:
    autopilot = config.autopilot

    def given(name: str) -> Any:
        return set_or_null(config, f"autopilot.{name}", getattr(autopilot, name))

    return {
        "CleanupDeadServers": given("cleanup_dead_servers"),
        "DisableUpgradeMigration": given("disable_upgrade_migration"),
        "EnableCustomUpgrades": given("enable_custom_upgrades"),
        "EnableRedundancyZones": given("enable_redundancy_zones"),
        "LastContactThreshold": autopilot.last_contact_threshold_ns,
        "MaxTrailingLogs": autopilot.max_trailing_logs,
        "MinQuorum": autopilot.min_quorum,
        "ServerStabilizationTime": autopilot.server_stabilization_time_ns,
    }


def _backup(config: AgentConfig) -> dict[str, Any]:
    """Ours. Nothing of it is secret: a target that holds credentials is refused."""
    backup = config.backup
    return {
        "CredentialsFile": backup.credentials_file,
        "Deadline": format_duration(backup.deadline_ns),
        "Endpoint": backup.endpoint,
        "Region": backup.region,
        "RestoreFrom": backup.restore_from,
        "Retain": backup.retain,
        "Schedule": backup.schedule,
        "Target": backup.target,
    }


def _limits(config: AgentConfig) -> dict[str, Any]:
    limits = config.limits
    return {
        "HTTPMaxConnsPerClient": limits.http_max_conns_per_client,
        "HTTPSHandshakeTimeout": format_duration(limits.https_handshake_timeout_ns),
        "RPCHandshakeTimeout": format_duration(limits.rpc_handshake_timeout_ns),
        "RPCMaxConnsPerClient": limits.rpc_max_conns_per_client,
    }


def _log(config: AgentConfig) -> dict[str, Any]:
    rotation = format_duration(config.log_rotate_duration_ns)
    return {
        "LogFile": config.log_file,
        "LogIncludeLocation": config.log_include_location,
        "LogJson": config.log_json,
        "LogLevel": config.log_level,
        "LogRotateBytes": config.log_rotate_bytes,
        "LogRotateDuration": set_or_null(config, "log_rotate_duration", rotation) or "",
        "LogRotateMaxFiles": config.log_rotate_max_files,
    }


def _tls(config: AgentConfig) -> dict[str, Any]:
    tls = config.tls
    return {
        "CAFile": tls.ca_file,
        "CertFile": tls.cert_file,
        "Checksum": "",
        "EnableHTTP": tls.http,
        "EnableRPC": tls.rpc,
        "KeyFile": tls.key_file,
        "KeyLoader": {},
        "RPCUpgradeMode": tls.rpc_upgrade_mode,
        "TLSCipherSuites": tls.tls_cipher_suites,
        "TLSMinVersion": tls.tls_min_version,
        "TLSPreferServerCipherSuites": tls.tls_prefer_server_cipher_suites,
        "VerifyHTTPSClient": tls.verify_https_client,
        "VerifyServerHostname": tls.verify_server_hostname,
    }


def _telemetry(config: AgentConfig) -> dict[str, Any]:
    telemetry = config.telemetry
    return {
        "CollectionInterval": format_duration(telemetry.collection_interval_ns),
        "DataDogAddr": telemetry.datadog_address,
        "DataDogTags": list(telemetry.datadog_tags) or None,
        "DisableDispatchedJobSummaryMetrics": telemetry.disable_dispatched_job_summary_metrics,
        "DisableHostname": telemetry.disable_hostname,
        "FilterDefault": set_or_null(config, "telemetry.filter_default", telemetry.filter_default),
        "InMemoryCollectionInterval": format_duration(telemetry.in_memory_collection_interval_ns),
        "PrefixFilter": list(telemetry.prefix_filter) or None,
        "PrometheusMetrics": telemetry.prometheus_metrics,
        "PublishAllocationMetrics": telemetry.publish_allocation_metrics,
        "PublishNodeMetrics": telemetry.publish_node_metrics,
        "StatsdAddr": telemetry.statsd_address,
        "StatsiteAddr": telemetry.statsite_address,
        "UseNodeName": telemetry.use_node_name,
    }
