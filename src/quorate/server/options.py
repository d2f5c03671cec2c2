"""Options of a server; the agent makes them from its configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.backup.schedule import Schedule
from quorate.backup.target import Settings as TargetSettings
from quorate.raft.settings import Settings
from quorate.server.audit.sink import SinkOptions
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping
from quorate.state.engine.registry import Registry
from quorate.state.registry import TODAY
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.scheduler import SchedulerConfiguration

if TYPE_CHECKING:  # what reads certificates is loaded by a server that has some
    from quorate.net.tls.keeper import TlsKeeper


class GossipOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this server takes part in the pool. Addresses are "host:port", times seconds.

    `key` (16, 24 or 32 bytes; empty: no encryption) is only for a server that has no file
    `keyring_path` yet: once there, the keys in it count. Of `retry_join` and `start_join` one at
    most is given: the first is tried every `retry_interval_s`, `retry_max` times (0: for ever),
    the second once. `rejoin_after_leave`: join the last known members even if this one had left.
    `profile` names the timing: "lan", or "wan" for pools whose regions are far apart.
    """

    bind: tuple[str, int]
    advertise: str
    keyring_path: Path
    key: bytes = b""
    retry_join: tuple[str, ...] = ()
    start_join: tuple[str, ...] = ()
    retry_interval_s: float = 30.0
    retry_max: int = 0
    rejoin_after_leave: bool = False
    profile: str = "lan"

    def __repr__(self) -> str:
        """Without the key."""
        encrypted = "encrypted" if self.key else "plain"
        return f"GossipOptions(bind={self.bind}, advertise={self.advertise!r}, {encrypted})"


class BackupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which backups the leader makes; `schedule` is None where only operators make some.

    `retain` is how many stay at the target, `deadline_s` how long a transfer or a check may take.
    `restore_from` is the URL of a backup, or of a target, with which a new cluster begins.
    """

    target: TargetSettings | None = None
    schedule: Schedule | None = None
    retain: int = 7
    deadline_s: float = 3600.0
    restore_from: TargetSettings | None = None


class AclOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Access control at this server (docs/acl.md). Times are seconds.

    `transition`: what would be refused is allowed and counted, until a replicated setting ends it.
    `silence_max_s`: for so long tokens count here without a word of the leader. Tokens that expire
    live for `ttl_min_s` to `ttl_max_s`. `host_is_near`: HTTP listens on more than the loopback, so
    what comes from there is from this machine. `replication_token` is a secret.
    """

    enabled: bool = False
    transition: bool = False
    silence_max_s: float = 30.0
    ttl_min_s: float = 60.0
    ttl_max_s: float = 86400.0
    host_is_near: bool = False
    replication_token: str = ""

    def __repr__(self) -> str:
        """Without the token."""
        return f"AclOptions(enabled={self.enabled}, transition={self.transition})"


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses are "host:port", times seconds.

    `unproven_peers` are IP addresses from which Raft is taken without proof of a server ID.

    `founders` is the static list of RPC addresses, this server's among them; `join` are servers
    to ask over RPC. `gossip` is None where the servers are a fixed list. Within
    `state_check_interval_s` a state that differs and a log that is damaged are found; 0: never.
    `rpc_connections_max` counts for each client address, `rpc_connections_total` for all; 0 is no
    limit. `registry` is what this version knows of commands and levels; a rehearsal may take
    another. `state_bytes_max` is the bound of the state that the first leader keeps; 0: a part of
    the smallest server's memory. `memory_bytes` is this server's; 0: that of the machine.
    `tls` is what is spoken at the RPC port, and between servers; None: no TLS.
    `audit` is the sink of audit events; None: they are written nowhere.
    `wrapping` are the keys that wrap root keys. `host_data` gives what `agent/host` shows; None:
    that is not shown. Namespaces
    are written in the `authoritative_region`; if it is empty, here.
    """

    name: str
    region: str
    datacenter: str
    data_dir: Path
    rpc_bind: tuple[str, int]
    rpc_address: str
    serf_port: int
    version: str
    authoritative_region: str = ""
    founders: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    gossip: GossipOptions | None = None
    bootstrap_expect: int = 0
    settings: Settings = msgspec.field(default_factory=Settings)
    snapshot_threshold: int = 8192
    snapshot_interval_s: float = 120.0
    state_check_interval_s: float = 30.0
    state_bytes_max: int = 0
    memory_bytes: int = 0
    wrapping: Wrapping = NO_WRAPPING
    tls: TlsKeeper | None = None
    rpc_handshake_timeout_s: float = 5.0
    rpc_connections_max: int = 100
    rpc_connections_total: int = 0
    unproven_peers: tuple[str, ...] = ()
    autopilot: AutopilotConfiguration = AutopilotConfiguration()
    scheduler: SchedulerConfiguration = SchedulerConfiguration()
    http_headers: dict[str, str] = msgspec.field(default_factory=dict)
    prometheus: bool = False
    backup: BackupOptions = BackupOptions()
    audit: SinkOptions | None = None
    acl: AclOptions = AclOptions()
    host_data: Callable[[], Awaitable[dict[str, Any]]] | None = None
    config_view: dict[str, Any] = msgspec.field(default_factory=dict)
    registry: Registry = TODAY

    @property
    def regions_prove(self) -> bool:
        """Whether servers of other regions prove by certificates what they are."""
        return self.tls is not None and self.tls.rpc and not self.tls.upgrading

    @property
    def expect(self) -> int:
        """How many servers found the cluster; 0: this one never founds."""
        return len(self.founders) or self.bootstrap_expect
