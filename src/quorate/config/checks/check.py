"""Checks of a configuration (docs/configuration.md), each with its cure.

The texts are those of the golden cases where one applies; a place in a file is added to them.
`problems` looks at a configuration as it was written, `address_problems` at one whose addresses
are resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import PurePath
from typing import Final

from quorate.backup.places import check_endpoint, check_url
from quorate.backup.schedule import parse_schedule
from quorate.config.checks.audit import audit_problems
from quorate.config.checks.endpoint import PORT_MAX, parse_endpoint
from quorate.config.checks.tls import tls_problems
from quorate.config.keys.effects import error_at, refusals
from quorate.config.model import AgentConfig
from quorate.errors import ConfigError, QuorateError
from quorate.wire.go.duration import MILLISECOND, format_duration
from quorate.wire.gossip_key import key_fault

_FACILITIES: Final = (
    *("KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG"),
    *("LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP"),
)
SYSLOG_FACILITIES: Final = {name: number for number, name in enumerate(_FACILITIES)} | {
    f"LOCAL{number}": 16 + number for number in range(8)
}
"""Codes of RFC 5424 (6.2.1), by name."""

NAMES_MAX: Final = {
    "region": 64,
    "server.authoritative_region": 64,
    "datacenter": 128,
    "name": 128,
}
"""Characters: the region is in the hello of each connection, all of them in packets of gossip."""

STATSD_PORT: Final = 8125
LOG_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
SCHEDULER_ALGORITHMS: Final = ("binpack", "spread")
GOSSIP_MODES: Final = ("auto", "on", "off")
GOSSIP_PROFILES: Final = ("lan", "wan")
_RAFT_PROTOCOL: Final = 3
_MULTIPLIER_MAX: Final = 10
_SNAPSHOT_INTERVAL_MIN_NS: Final = 5 * MILLISECOND
_STATE_CHECK_INTERVAL_MIN_NS: Final = 100 * MILLISECOND

_RETAIN_MAX: Final = 1000

_Check = Callable[[AgentConfig], Iterator[ConfigError]]


def problems(config: AgentConfig) -> Iterator[ConfigError]:
    """All that is wrong with it, the most basic first."""
    for check in _CHECKS:
        yield from check(config)


def _mode(config: AgentConfig) -> Iterator[ConfigError]:
    if not (config.server.enabled or config.client.enabled or config.dev_mode):
        yield ConfigError(
            "Must specify either server, client or dev mode for the agent.",
            "set server { enabled = true }, or give -server or -dev",
        )


def _data_dir(config: AgentConfig) -> Iterator[ConfigError]:
    if config.dev_mode:
        return
    if not config.data_dir:
        yield ConfigError("Must specify data directory", "set data_dir, or give -data-dir")
    elif not PurePath(config.data_dir).is_absolute():
        yield error_at(
            config,
            "data_dir",
            f"data-dir must be given as an absolute path: got {config.data_dir}",
        )
    elif "\0" in config.data_dir:
        yield error_at(config, "data_dir", "data_dir contains invalid characters")


def _server_mode(config: AgentConfig) -> Iterator[ConfigError]:
    server = config.server
    if server.enabled:
        return
    if server.bootstrap_expect:
        yield error_at(
            config,
            "server.bootstrap_expect",
            "Bootstrap requires server mode to be enabled",
            "set server { enabled = true }, or give -server",
        )
    if server.initial_servers:
        yield error_at(
            config,
            "server.initial_servers",
            "server.initial_servers requires server mode to be enabled",
            "set server { enabled = true }, or give -server",
        )


def _names(config: AgentConfig) -> Iterator[ConfigError]:
    names = {
        "region": ("Region", config.region),
        "datacenter": ("Datacenter", config.datacenter),
        "name": ("Node name", config.name),
        "server.authoritative_region": ("Authoritative region", config.server.authoritative_region),
    }
    for key, (title, text) in names.items():
        if not text.isprintable() or " " in text:
            yield error_at(
                config,
                key,
                f"{title} contains invalid characters",
                "use letters, digits, dots, dashes and underscores",
            )
        elif len(text) > (most := NAMES_MAX[key]):
            yield error_at(
                config,
                key,
                f"{title} has {len(text)} characters; {most} are the most",
                f"set a shorter {key}: it is sent to all servers, in packets of gossip too",
            )
    if not config.region.isascii():
        yield error_at(
            config,
            "region",
            "Region contains invalid characters",
            "use letters of ASCII, digits, dots, dashes and underscores",
        )


def _ports(config: AgentConfig) -> Iterator[ConfigError]:
    ports = config.ports
    for name, port in (("http", ports.http), ("rpc", ports.rpc), ("serf", ports.serf)):
        if port > PORT_MAX:
            yield error_at(
                config,
                f"ports.{name}",
                f"ports.{name} must be between 1 and {PORT_MAX}, got {port}",
            )


def _log(config: AgentConfig) -> Iterator[ConfigError]:
    yield from _one_of(config, "log_level", config.log_level, LOG_LEVELS)


def _syslog(config: AgentConfig) -> Iterator[ConfigError]:
    yield from _one_of(config, "syslog_facility", config.syslog_facility, SYSLOG_FACILITIES)


def _one_of(
    config: AgentConfig, key: str, value: str, known: Iterable[str]
) -> Iterator[ConfigError]:
    """In any letter case."""
    if value.upper() not in known:
        yield error_at(config, key, f'{key} "{value}" is unknown', f"use one of {', '.join(known)}")


def _raft(config: AgentConfig) -> Iterator[ConfigError]:
    server = config.server
    if server.raft_protocol != _RAFT_PROTOCOL:
        yield error_at(
            config,
            "server.raft_protocol",
            "Error starting agent: server setup failed: Failed to start Raft: Protocol version"
            f" {server.raft_protocol} must be {_RAFT_PROTOCOL}",
        )
    if not 1 <= server.raft_multiplier <= _MULTIPLIER_MAX:
        yield error_at(
            config,
            "server.raft_multiplier",
            f"raft_multiplier cannot be {server.raft_multiplier}."
            f" Must be between 1 and {_MULTIPLIER_MAX}",
        )
    interval_ns = server.raft_snapshot_interval_ns
    if interval_ns <= _SNAPSHOT_INTERVAL_MIN_NS:
        yield error_at(
            config,
            "server.raft_snapshot_interval",
            "raft_snapshot_interval must be greater than"
            f' {format_duration(_SNAPSHOT_INTERVAL_MIN_NS)}, got "{format_duration(interval_ns)}"',
        )


def _state_checks(config: AgentConfig) -> Iterator[ConfigError]:
    interval_ns, least = config.server.state_check_interval_ns, _STATE_CHECK_INTERVAL_MIN_NS
    if interval_ns and interval_ns < least:
        yield error_at(
            config,
            "server.state_check_interval",
            f"server.state_check_interval cannot be {format_duration(interval_ns)}",
            f'use {format_duration(least)} or more, or "0s" for no checks',
        )


def _wrapping_key(config: AgentConfig) -> Iterator[ConfigError]:
    server = config.server
    given = {
        "server.wrapping_key_file": server.wrapping_key_file,
        "server.wrapping_key_env": server.wrapping_key_env,
        "server.wrapping_key_command": server.wrapping_key_command[0:1],
    }
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        yield error_at(
            config, named[1], f"{named[0]} and {named[1]} both give the wrapping key: keep one"
        )
    for name in ("server.wrapping_key_file", "server.wrapping_key_command"):
        path = "".join(given[name])
        if path and (not PurePath(path).is_absolute() or "\0" in path):
            yield error_at(config, name, f"{name} must begin with an absolute path: got {path!a}")


def _initial_servers(config: AgentConfig) -> Iterator[ConfigError]:
    server, key = config.server, "server.initial_servers"
    seen: set[str] = set()
    for text in server.initial_servers:
        try:
            address = str(parse_endpoint(text, None))
        except ValueError as error:
            yield error_at(
                config, key, f'{key}: "{text}": {error}', 'write "host:port", port of RPC'
            )
            continue
        if address in seen:
            yield error_at(config, key, f"{key} names {address} twice")
        seen.add(address)
    expect, count = server.bootstrap_expect, len(server.initial_servers)
    if count and expect not in {0, count} and not config.dev_mode:
        yield error_at(
            config,
            key,
            f"{key} names {count} servers, but bootstrap_expect is {expect}",
            "leave bootstrap_expect out: the list says how many there are",
        )


def _unproven_peers(config: AgentConfig) -> Iterator[ConfigError]:
    key = "server.unproven_peers"
    for text in config.server.unproven_peers:
        try:
            ip_address(text)
        except ValueError:
            yield error_at(
                config,
                key,
                f'{key}: "{text}" is no IP address',
                "name the addresses of the peers without a port; host names are not looked up",
            )


def _joining(config: AgentConfig) -> Iterator[ConfigError]:
    server = config.server
    for name in ("retry_join", "start_join"):
        old: tuple[str, ...] = getattr(server, name)
        new: tuple[str, ...] = getattr(server.server_join, name)
        key = f"server.{name}" if old else f"server.server_join.{name}"
        if old and new:
            yield error_at(
                config,
                key,
                f"server.{name} and server.server_join.{name} are both set",
                "keep the one in server_join",
            )
        for text in (*old, *new):
            fault = _join_fault(text)
            if fault:
                yield error_at(config, key, f'{key}: "{text}": {fault}')
    if server.join.retry_join and server.join.start_join:
        yield ConfigError(
            "retry_join and start_join cannot be used together", "keep retry_join, it tries again"
        )


def _join_fault(text: str) -> str:
    if text.startswith("provider="):
        return "cloud discovery is not supported by this version of Quorate; list addresses"
    try:
        parse_endpoint(text, 1)
    except ValueError as error:
        return str(error)
    return ""


def _scheduler(config: AgentConfig) -> Iterator[ConfigError]:
    algorithm = config.server.default_scheduler_config.scheduler_algorithm
    if algorithm not in SCHEDULER_ALGORITHMS:
        yield error_at(
            config,
            "server.default_scheduler_config.scheduler_algorithm",
            f"invalid scheduler algorithm: {algorithm}",
            f"use one of {', '.join(SCHEDULER_ALGORITHMS)}",
        )


def _telemetry(config: AgentConfig) -> Iterator[ConfigError]:
    for rule in config.telemetry.prefix_filter:
        if rule[:1] not in {"+", "-"} or len(rule) == 1:
            yield error_at(
                config,
                "telemetry.prefix_filter",
                f'telemetry.prefix_filter: "{rule}" must begin with + (show) or - (hide)',
            )


def _statsd(config: AgentConfig) -> Iterator[ConfigError]:
    address = config.telemetry.statsd_address
    try:
        if address:
            parse_endpoint(address, STATSD_PORT)
    except ValueError as error:
        yield error_at(
            config,
            "telemetry.statsd_address",
            f'telemetry.statsd_address: "{address}": {error}',
            "write host:port of the statsd server",
        )


def _headers(config: AgentConfig) -> Iterator[ConfigError]:
    for name, value in config.http_api_response_headers.items():
        if not _is_header(name, value):
            yield error_at(
                config,
                "http_api_response_headers",
                f'http_api_response_headers: "{name}" cannot be sent as a header',
                "use a plain name, and a value of one line in Latin letters",
            )


def _http_hosts(config: AgentConfig) -> Iterator[ConfigError]:
    for name in config.http_hosts:
        if not name or not name.isascii() or any(c in "/:*,@ " for c in name):
            yield error_at(
                config,
                "http_hosts",
                f'http_hosts: "{name}" is no host name',
                "write names without scheme, port and wildcard; IP addresses need not be named",
            )


def _is_header(name: str, value: str) -> bool:
    plain_name = name.isascii() and bool(name) and all(c.isalnum() or c in "-_.~" for c in name)
    return plain_name and all(" " <= c <= "\xff" and c != "\x7f" for c in value)


def _gossip(config: AgentConfig) -> Iterator[ConfigError]:
    server = config.server
    for name, value, known in (
        ("gossip", server.gossip, GOSSIP_MODES),
        ("gossip_profile", server.gossip_profile, GOSSIP_PROFILES),
    ):
        if value not in known:
            yield error_at(
                config,
                f"server.{name}",
                f'server.{name} cannot be "{value}"',
                f"use one of {', '.join(known)}",
            )
    key = server.encrypt
    fault = key_fault(key) if key else ""
    if fault:
        yield error_at(config, "server.encrypt", f"Invalid encryption key: {fault}")
    if key and not server.gossips and not config.dev_mode:
        yield error_at(
            config,
            "server.encrypt",
            "server.encrypt is set, but this server does not gossip: its servers are a fixed list",
            'remove it, or set server { gossip = "on" }',
        )


def _acl(config: AgentConfig) -> Iterator[ConfigError]:
    acl = config.acl
    least, most = acl.token_min_expiration_ttl_ns, acl.token_max_expiration_ttl_ns
    if least > most:
        yield error_at(
            config,
            "acl.token_max_expiration_ttl",
            f"acl.token_max_expiration_ttl ({format_duration(most)}) is below"
            f" acl.token_min_expiration_ttl ({format_duration(least)})",
            "set a longer one, or a shorter token_min_expiration_ttl",
        )


def _backup(config: AgentConfig) -> Iterator[ConfigError]:
    backup = config.backup
    tried: tuple[tuple[str, str, Callable[[str], object]], ...] = (
        ("schedule", backup.schedule, parse_schedule),
        ("target", backup.target, check_url),
        ("restore_from", backup.restore_from, check_url),
        ("endpoint", backup.endpoint, check_endpoint),
    )
    for key, text, read in tried:
        try:
            if text:
                read(text)
        except QuorateError as error:
            yield error_at(config, f"backup.{key}", f"backup.{key}: {error.text}", error.next_step)
    if backup.schedule and not backup.target:
        yield error_at(
            config,
            "backup.schedule",
            "backup.schedule has no effect without backup.target",
            'set target = "file:///folder" or "s3://bucket/prefix"',
        )
    if backup.retain > _RETAIN_MAX:
        text = f"backup.retain is {backup.retain}; {_RETAIN_MAX} are the most"
        yield error_at(config, "backup.retain", text)


_CHECKS: Final[tuple[_Check, ...]] = (
    _mode,
    _data_dir,
    _server_mode,
    _gossip,
    refusals,
    _names,
    _ports,
    _log,
    _syslog,
    _raft,
    _state_checks,
    _wrapping_key,
    _initial_servers,
    _unproven_peers,
    _joining,
    _scheduler,
    _telemetry,
    _statsd,
    _headers,
    _http_hosts,
    _backup,
    _acl,
    tls_problems,
    audit_problems,
)


def address_problems(config: AgentConfig) -> Iterator[ConfigError]:
    """The faults of the resolved addresses."""
    ports = config.ports
    if ports.http == ports.rpc and config.addresses.rpc in config.addresses.http.split():
        yield error_at(config, "ports.http", f"ports.http and ports.rpc are both {ports.rpc}")
    serf = config.addresses.serf
    if config.server.gossips:
        for name, port, hosts in (
            ("http", ports.http, config.addresses.http.split()),
            ("rpc", ports.rpc, [config.addresses.rpc]),
        ):
            if ports.serf == port and serf in hosts:
                yield error_at(config, "ports.serf", f"ports.serf and ports.{name} are both {port}")
    initial = config.server.initial_servers
    if initial and config.advertise.rpc not in initial and not config.dev_mode:
        yield error_at(
            config,
            "server.initial_servers",
            "server.initial_servers does not name this server: its RPC address is"
            f" {config.advertise.rpc}",
            "add it to the list, or set advertise.rpc to how the list names it",
        )
