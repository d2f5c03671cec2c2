"""What `load` refuses, and what it warns about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST, MadeUpHost

from quorate.config import AgentConfig, Notes, load, validate
from quorate.errors import ConfigError
from quorate.wire.gossip_key import key_fault

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="

BASE = {
    "data_dir": "/x",
    "bind_addr": "10.0.0.1",
    "server.enabled": True,
    "server.bootstrap_expect": 3,
}


def written(folder: Path, settings: dict[str, Any]) -> Path:
    """A file with BASE and these settings, by dotted name; None takes one away."""
    tree: dict[str, Any] = {}
    for key, value in {**BASE, **settings}.items():
        *blocks, name = key.split(".")
        inner = tree
        for block in blocks:
            inner = inner.setdefault(block, {})
        inner[name] = value
    file = folder / "a.json"
    file.write_text(json.dumps(tree))
    return file


def loaded(folder: Path, settings: dict[str, Any]) -> tuple[AgentConfig, Notes]:
    return load([written(folder, settings)], host=HOST)


def three(*changes: str) -> list[str]:
    return [*(f"10.0.0.{n}:4647" for n in range(1, 4 - len(changes))), *changes]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"server.enabled": False}, "Must specify either server, client or dev mode"),
        ({"data_dir": ""}, "Must specify data directory"),
        ({"data_dir": "x/y"}, "data-dir must be given as an absolute path: got x/y ("),
        ({"data_dir": "/x\0"}, "data_dir contains invalid characters ("),
        (
            {"server.enabled": False, "client.enabled": True},
            "Bootstrap requires server mode to be enabled (",
        ),
        (
            {
                "server.enabled": False,
                "client.enabled": True,
                "server.bootstrap_expect": 0,
                "server.initial_servers": three(),
            },
            "server.initial_servers requires server mode to be enabled (",
        ),
        ({"bind_addr": "127.0.0.9"}, "Failed to parse HTTP advertise address (, 127.0.0.9, 46"),
        ({"region": "a b"}, "Region contains invalid characters ("),
        ({"region": "münchen"}, "Region contains invalid characters ("),
        ({"region": "r" * 65}, "Region has 65 characters; 64 are the most ("),
        ({"datacenter": "d" * 129}, "Datacenter has 129 characters; 128 are the most ("),
        ({"name": "n" * 129}, "Node name has 129 characters; 128 are the most ("),
        ({"datacenter": "a\n"}, "Datacenter contains invalid characters ("),
        ({"name": "a\0"}, "Node name contains invalid characters ("),
        ({"server.authoritative_region": "a b"}, "Authoritative region contains invalid"),
        ({"ports.http": 65536}, "ports.http must be between 1 and 65535, got 65536 ("),
        ({"ports.rpc": 70000}, "ports.rpc must be between 1 and 65535, got 70000 ("),
        ({"log_level": "LOUD"}, 'log_level "LOUD" is unknown ('),
        ({"server.raft_protocol": 1}, "Error starting agent: server setup failed: Failed to"),
        ({"server.raft_multiplier": 11}, "raft_multiplier cannot be 11. Must be between 1 and 10"),
        ({"server.raft_multiplier": 0}, "raft_multiplier cannot be 0. Must be between 1 and 10"),
        (
            {"server.raft_snapshot_interval": "1ms"},
            'raft_snapshot_interval must be greater than 5ms, got "1ms" (',
        ),
        (
            {"server.state_check_interval": "99ms"},
            "server.state_check_interval cannot be 99ms (",
        ),
        ({"server.encrypt": "abc"}, "Invalid encryption key: illegal base64 data at input byte 0"),
        (
            {"server.encrypt": KEY, "server.initial_servers": three()},
            "server.encrypt is set, but this server does not gossip: its servers are a",
        ),
        (
            {"server.encrypt": KEY, "server.gossip": "off"},
            "server.encrypt is set, but this server does not gossip: its servers are a",
        ),
        ({"server.encrypt": "AAAA"}, "Invalid encryption key: it has 3 bytes; it must have 16, 24"),
        ({"server.gossip": "yes"}, 'server.gossip cannot be "yes" ('),
        ({"server.gossip_profile": "local"}, 'server.gossip_profile cannot be "local" ('),
        ({"ports": {"serf": 4646}}, "ports.serf and ports.http are both 4646 ("),
        ({"ports": {"serf": 4647}}, "ports.serf and ports.rpc are both 4647 ("),
        ({"tls.http": True}, "tls.http is on, and tls.ca_file is not set"),
        ({"tls": {"rpc": True, "ca_file": "/c"}}, "tls.rpc is on, and tls.cert_file is not set"),
        ({"tls.tls_min_version": "tls11"}, "tls.tls_min_version: version 'tls11' of TLS is not"),
        ({"tls.tls_cipher_suites": "X"}, "tls.tls_cipher_suites: cipher suite 'X' is not known"),
        (
            {"acl": {"token_min_expiration_ttl": "2h", "token_max_expiration_ttl": "1h"}},
            "acl.token_max_expiration_ttl (1h0m0s) is below acl.token_min_expiration_ttl (2h0m0s)",
        ),
        ({"client.enabled": True}, "client.enabled: client mode is not supported by this version"),
        ({"syslog_facility": "LOCAL8"}, 'syslog_facility "LOCAL8" is unknown ('),
        (
            {"telemetry.statsd_address": "1.2.3.4:x"},
            'telemetry.statsd_address: "1.2.3.4:x": "x" is no port (',
        ),
        ({"http_hosts": ["https://proxy.example"]}, 'http_hosts: "https://proxy.example" is no ho'),
        ({"http_hosts": ["*.example"]}, 'http_hosts: "*.example" is no host name'),
        (
            {"server.unproven_peers": ["10.0.0.5", "peer.example"]},
            'server.unproven_peers: "peer.example" is no IP address (',
        ),
        (
            {"server.initial_servers": three("10.0.0.3")},
            'server.initial_servers: "10.0.0.3": it has no port (',
        ),
        (
            {"server.initial_servers": three("10.0.0.3:x")},
            'server.initial_servers: "10.0.0.3:x": "x" is no port (',
        ),
        (
            {"server.initial_servers": three("10.0.0.1:4647")},
            "server.initial_servers names 10.0.0.1:4647 twice (",
        ),
        (
            {"server.initial_servers": ["10.0.0.1:4647"]},
            "server.initial_servers names 1 servers, but bootstrap_expect is 3 (",
        ),
        (
            {"server.initial_servers": ["10.0.0.7:1", "10.0.0.8:1", "10.0.0.9:1"]},
            "server.initial_servers does not name this server: its RPC address is 10.0.0.1:4647 (",
        ),
        (
            {"server.retry_join": ["a"], "server.server_join.retry_join": ["b"]},
            "server.retry_join and server.server_join.retry_join are both set (",
        ),
        (
            {"server.server_join": {"retry_join": ["a"], "start_join": ["b"]}},
            "retry_join and start_join cannot be used together",
        ),
        (
            {"server.server_join.retry_join": ["provider=aws tag_key=x"]},
            'server.server_join.retry_join: "provider=aws tag_key=x": cloud discovery is not',
        ),
        ({"server.start_join": ["a:b:c"]}, 'server.start_join: "a:b:c": "a:b:c" is no IP address'),
        (
            {"server.default_scheduler_config.scheduler_algorithm": "x"},
            "invalid scheduler algorithm: x (",
        ),
        ({"telemetry.prefix_filter": ["a"]}, 'telemetry.prefix_filter: "a" must begin with +'),
        (
            {"http_api_response_headers": {"A B": "x"}},
            'http_api_response_headers: "A B" cannot be sent as a header (',
        ),
        (
            {"http_api_response_headers": {"A": "x\r\nB: y"}},
            'http_api_response_headers: "A" cannot be sent as a header (',
        ),
        ({"ports": {"http": 1, "rpc": 1}}, "ports.http and ports.rpc are both 1 ("),
    ],
)
def test_refused(settings: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, settings)
    assert caught.value.text.startswith(text)
    assert "\n" not in caught.value.text
    if text.endswith("("):
        assert caught.value.text.endswith(f"({tmp_path / 'a.json'}:1)")
    first = validate([tmp_path / "a.json"], host=HOST)[0]
    assert first.startswith(caught.value.text)


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ({}, ()),
        ({"server.bootstrap_expect": 0}, ()),
        (
            {"server.bootstrap_expect": 1},
            ("WARNING: Bootstrap mode enabled! Potentially unsafe operation.",),
        ),
        (
            {"server.bootstrap_expect": 4},
            (
                (
                    "WARNING: A cluster of 4 servers survives no more failures than one of 3;"
                    " use an odd number"
                ),
            ),
        ),
        ({"server.initial_servers": three()}, ()),
        ({"server.initial_servers": three(), "ports": {"serf": 4647}}, ()),
        ({"server.encrypt": KEY, "leave_on_terminate": True}, ()),
        (
            {
                "server.initial_servers": three(),
                "server.gossip_profile": "wan",
                "server.rejoin_after_leave": True,
                "server.server_join.retry_max": 3,
                "leave_on_interrupt": True,
            },
            (
                (
                    "WARNING: No effect without gossip: server.gossip_profile,"
                    " server.rejoin_after_leave, server.server_join.retry_max"
                ),
                (
                    "WARNING: A server that leaves hands leadership over and stops; it stays in the"
                    " Raft configuration, because its servers are a fixed list"
                ),
            ),
        ),
        (
            {
                "server.num_schedulers": 2,
                "telemetry": {"statsite_address": "x", "circonus_api_token": "x"},
                "vault": {"token": "x"},
                "ui": {},
                "client": {"enabled": False, "servers": []},
                "plugin_dir": "/p",
                "acl": {"enabled": False, "role_ttl": "1s", "replication_token": "x"},
                "tls.http": False,
                "disable_update_check": True,
            },
            (
                (
                    "WARNING: No effect in this version of Quorate: acl.replication_token, client,"
                    " plugin_dir, server.num_schedulers, telemetry.circonus_api_token,"
                    " telemetry.statsite_address, ui, vault"
                ),
            ),
        ),
        (
            {"acl": {"transition": True, "token_ttl": "5s"}},
            ("WARNING: No effect without acl.enabled: acl.transition, acl.token_ttl",),
        ),
        (
            {
                "tls": {
                    "rpc": True,
                    "rpc_upgrade_mode": True,
                    "ca_file": "/c",
                    "cert_file": "/c",
                    "key_file": "/c",
                }
            },
            (
                (
                    "WARNING: tls.rpc_upgrade_mode is on: connections without TLS are taken, until"
                    " it is taken out and the server is restarted"
                ),
            ),
        ),
        (
            {"acl": {"enabled": True, "transition": True}},
            (
                (
                    "WARNING: acl.transition is on: requests that access control would refuse are"
                    " allowed, until the transition is ended"
                ),
                "WARNING: acl.enabled without tls.http: tokens travel in the clear",
            ),
        ),
    ],
)
def test_warned(settings: dict[str, Any], warnings: tuple[str, ...], tmp_path: Path) -> None:
    _, notes = loaded(tmp_path, settings)
    assert notes.warnings == warnings
    assert notes.error_lines() == tuple(f"==> {warning}" for warning in warnings)
    assert validate([tmp_path / "a.json"], host=HOST) == []


@pytest.mark.parametrize(
    ("settings", "gossips"),
    [
        ({}, True),
        ({"server.retry_join": ["a"]}, True),
        ({"server.initial_servers": three()}, False),
        ({"server.initial_servers": three(), "server.retry_join": ["a"]}, True),
        ({"server.initial_servers": three(), "server.server_join.start_join": ["a"]}, True),
        ({"server.initial_servers": three(), "server.gossip": "on"}, True),
        ({"server.retry_join": ["a"], "server.gossip": "off"}, False),
        ({"server.initial_servers": three(), "server.gossip": "auto"}, False),
    ],
)
def test_whoever_lists_the_servers_has_chosen_the_list(
    settings: dict[str, Any], gossips: bool, tmp_path: Path
) -> None:
    config, _ = loaded(tmp_path, settings)
    assert config.server.gossips is gossips


def test_dev_mode_gossips_whatever_list_is_put_aside(tmp_path: Path) -> None:
    file = written(tmp_path, {"server.initial_servers": three(), "server.encrypt": KEY})
    config, _ = load([file], {"dev": True}, host=HOST)
    assert config.server.gossips


def test_dev_mode_puts_aside_what_it_cannot_use(tmp_path: Path) -> None:
    file = written(tmp_path, {"server.initial_servers": three()})
    config, notes = load([file], {"dev": True}, host=HOST)
    assert config.dev_mode
    assert (config.data_dir, config.server.initial_servers) == ("", ())
    assert config.server.bootstrap_expect == 1
    assert config.bind_addr == "10.0.0.1"
    assert notes.warnings == (
        "WARNING: Not used in dev mode: data_dir, server.bootstrap_expect, server.initial_servers",
    )


def test_dev_mode_alone() -> None:
    config, notes = load([], {}, dev=True, host=MadeUpHost())
    assert config.server.enabled
    assert config.telemetry.prometheus_metrics
    assert (config.name, config.bind_addr, config.log_level) == ("box", "127.0.0.1", "DEBUG")
    assert config.advertise.http == "127.0.0.1:4646"
    assert notes.error_lines() == ()


def test_secrets_are_in_no_text_form(tmp_path: Path) -> None:
    config, _ = loaded(tmp_path, {"acl.replication_token": "s3cret", "vault.token": "s3cret"})
    assert config.acl.replication_token == "s3cret"
    assert "s3cret" not in repr(config)


def test_validate_names_all_mistakes(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text("server {")
    (tmp_path / "b.hcl").write_text("wombat = 1")
    missing = tmp_path / "none"
    lines = validate([tmp_path, missing], host=HOST)
    assert len(lines) == 3
    assert all(word in line for word, line in zip(("a.hcl", "wombat", "stat"), lines, strict=True))
    (tmp_path / "a.hcl").write_text('log_level = "x"\nserver { raft_multiplier = 99 }')
    (tmp_path / "b.hcl").unlink()
    assert [line.split()[0] for line in validate([tmp_path], host=HOST)] == [
        "Must",
        "Must",
        "log_level",
        "raft_multiplier",
    ]


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("AAAAAAAAAAAAAAAAAAAAAA==", ""),
        ("A" * 32, ""),
        ("A" * 43 + "=", ""),
        ("abc", "illegal base64 data at input byte 0"),
        ("AAAA!AAA", "illegal base64 data at input byte 4"),
        ("AAAAAé==", "illegal base64 data at input byte 5"),
        ("AAAAAAA", "illegal base64 data at input byte 4"),
        ("AAAA", "it has 3 bytes; it must have 16, 24 or 32"),
    ],
)
def test_gossip_key(key: str, fault: str) -> None:
    assert key_fault(key) == fault
