"""From the agent's configuration to what the server below has to be told."""

from __future__ import annotations

import base64
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quorate.agent.host_data import asking
from quorate.agent.sinks.audit import sink_options
from quorate.api.http.sites import Sites
from quorate.backup.schedule import parse_schedule
from quorate.backup.target import Settings
from quorate.config.checks.network import gossip_addresses, join_addresses, rpc_bind, serf_bind
from quorate.config.model import AgentConfig
from quorate.config.view.agent import config_view
from quorate.raft.settings import Settings as RaftSettings
from quorate.server.options import AclOptions, BackupOptions, GossipOptions, ServerOptions
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping
from quorate.shapes.shape import made
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.scheduler import SchedulerConfiguration
from quorate.version import __version__

if TYPE_CHECKING:  # what reads certificates is loaded by a server that has some
    from quorate.net.tls.keeper import TlsKeeper


def server_options(
    config: AgentConfig,
    data_dir: Path,
    rpc_connections: int = 0,
    wrapping: Wrapping = NO_WRAPPING,
    tls: TlsKeeper | None = None,
) -> ServerOptions:
    """The options of the server; `data_dir` is the folder to use (in dev mode a passing one).

    `rpc_connections` is how many there may be at the RPC port; 0: no limit. `tls` is None where
    the configuration has none.
    """
    server = config.server
    bind = rpc_bind(config)
    return ServerOptions(
        name=config.name,
        region=config.region,
        datacenter=config.datacenter,
        data_dir=data_dir,
        rpc_bind=(bind.host, bind.port),
        rpc_address=config.advertise.rpc,
        serf_port=int(config.advertise.serf.rpartition(":")[2]),
        version=__version__,
        authoritative_region=server.authoritative_region,
        founders=server.initial_servers,
        join=join_addresses(config),
        unproven_peers=server.unproven_peers,
        gossip=gossip_options(config, data_dir),
        bootstrap_expect=server.bootstrap_expect,
        settings=raft_settings(config),
        snapshot_threshold=server.raft_snapshot_threshold,
        snapshot_interval_s=server.raft_snapshot_interval_ns / 1e9,
        state_check_interval_s=server.state_check_interval_ns / 1e9,
        state_bytes_max=server.state_bytes_max,
        wrapping=wrapping,
        tls=tls,
        rpc_handshake_timeout_s=config.limits.rpc_handshake_timeout_ns / 1e9,
        rpc_connections_max=config.limits.rpc_max_conns_per_client,
        rpc_connections_total=rpc_connections,
        autopilot=_autopilot(config),
        scheduler=_scheduler(config),
        http_headers=dict(config.http_api_response_headers),
        prometheus=config.telemetry.prometheus_metrics,
        config_view=config_view(config),
        backup=backup_options(config),
        acl=acl_options(config),
        audit=sink_options(config, data_dir),
        host_data=asking(data_dir) if _shows_host(config) else None,
    )


_SILENCE_MAX_S: Final = 30.0
"""However long a configuration lets tokens count: a deleted one counts no longer anywhere."""


def acl_options(config: AgentConfig) -> AclOptions:
    """How callers are asked for tokens."""
    given = config.acl
    return AclOptions(
        enabled=given.enabled,
        transition=given.transition,
        silence_max_s=min(given.token_ttl_ns / 1e9, _SILENCE_MAX_S),
        ttl_min_s=given.token_min_expiration_ttl_ns / 1e9,
        ttl_max_s=given.token_max_expiration_ttl_ns / 1e9,
        host_is_near=not all(map(_may_be_loopback, config.addresses.http.split())),
    )


def _may_be_loopback(host: str) -> bool:
    """Whether it is an address of the loopback, or a name, which may stand for one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return True


def _shows_host(config: AgentConfig) -> bool:
    """Whether the machine is shown: for debugging to everybody, else by right alone."""
    return config.enable_debug or (config.acl.enabled and not config.acl.transition)


def backup_options(config: AgentConfig) -> BackupOptions:
    """Which backups the leader makes. Raises QuorateError for what `check` did not see."""
    given = config.backup

    def at(url: str) -> Settings | None:
        if not url:
            return None
        return Settings(
            url=url,
            endpoint=given.endpoint,
            region=given.region,
            credentials_file=given.credentials_file,
        )

    return BackupOptions(
        target=at(given.target),
        schedule=parse_schedule(given.schedule) if given.schedule else None,
        retain=given.retain,
        deadline_s=given.deadline_ns / 1e9,
        restore_from=at(given.restore_from),
    )


def browsers_sites(config: AgentConfig) -> Sites:
    """The names under which browsers may use the HTTP port: those of this host and agent."""
    advertise, addresses = config.advertise, config.addresses
    places = (advertise.http, advertise.rpc, advertise.serf)
    names = [
        socket.gethostname(),
        config.name,
        config.bind_addr,
        *addresses.http.split(),
        *(place.rpartition(":")[0] for place in places),
    ]
    return Sites((name for name in names if name), config.http_hosts)


def metric_labels(config: AgentConfig) -> dict[str, str]:
    """The labels on every number of `/v1/metrics`."""
    if config.telemetry.use_node_name:
        return {"host": config.name}
    return {} if config.telemetry.disable_hostname else {"host": socket.gethostname()}


def keyring_path(data_dir: Path) -> Path:
    """The file of the gossip keys; once there, it counts and `encrypt` does not."""
    return data_dir / "server" / "serf.keyring"


def gossip_options(config: AgentConfig, data_dir: Path) -> GossipOptions | None:
    """How the server gossips; None if its servers are a fixed list."""
    server, join = config.server, config.server.join
    if not server.gossips:
        return None
    bind = serf_bind(config)
    return GossipOptions(
        bind=(bind.host, bind.port),
        advertise=config.advertise.serf,
        keyring_path=keyring_path(data_dir),
        key=base64.b64decode(server.encrypt),
        retry_join=gossip_addresses(config, join.retry_join),
        start_join=gossip_addresses(config, join.start_join),
        retry_interval_s=join.retry_interval_ns / 1e9,
        retry_max=join.retry_max,
        rejoin_after_leave=server.rejoin_after_leave,
        profile=server.gossip_profile,
    )


def raft_settings(config: AgentConfig) -> RaftSettings:
    """Timing by raft_multiplier, how much log stays behind a snapshot, and how reads are proven."""
    server = config.server
    settings = RaftSettings(
        trailing_logs=server.raft_trailing_logs,
        log_bytes_max=server.raft_log_bytes_max,
        lease_reads=server.lease_reads,
    )
    return settings.scaled(server.raft_multiplier)


def _autopilot(config: AgentConfig) -> AutopilotConfiguration:
    return made(AutopilotConfiguration, config.autopilot)


def _scheduler(config: AgentConfig) -> SchedulerConfiguration:
    given = config.server.default_scheduler_config
    return made(SchedulerConfiguration, given, given.preemption_config)
