"""What a server has to be told; the agent makes it from its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from quorate.raft.settings import Settings
from quorate.state.autopilot import AutopilotConfiguration
from quorate.state.scheduler import SchedulerConfiguration


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses are "host:port", times seconds.

    `founders` is the static list of RPC addresses, this server's among them; `join` are servers
    to ask.
    """

    name: str
    region: str
    datacenter: str
    data_dir: Path
    rpc_bind: tuple[str, int]
    rpc_address: str
    serf_port: int
    version: str
    founders: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    bootstrap_expect: int = 0
    settings: Settings = msgspec.field(default_factory=Settings)
    snapshot_threshold: int = 8192
    snapshot_interval_s: float = 120.0
    rpc_handshake_timeout_s: float = 5.0
    rpc_connections_max: int = 100
    autopilot: AutopilotConfiguration = AutopilotConfiguration()
    scheduler: SchedulerConfiguration = SchedulerConfiguration()
    http_headers: dict[str, str] = msgspec.field(default_factory=dict)
    prometheus: bool = False
    config_view: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def expect(self) -> int:
        """How many servers found the cluster; 0: this one never founds."""
        return len(self.founders) or self.bootstrap_expect
