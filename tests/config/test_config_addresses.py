"""Where an agent binds, what it advertises, and whom it asks to join."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from config_hosts import HOST, MadeUpHost
from hypothesis import given
from hypothesis import strategies as st

from quorate.config import gossip_addresses, http_binds, join_addresses, rpc_bind
from quorate.config.build import with_value
from quorate.config.checks.addresses import resolve_addresses
from quorate.config.checks.endpoint import Endpoint, parse_endpoint
from quorate.config.checks.host import Host
from quorate.config.model import AgentConfig
from quorate.errors import ConfigError


def resolved(settings: dict[str, Any], *, host: Host = HOST, dev: bool = False) -> AgentConfig:
    config = replace(AgentConfig(), dev_mode=dev)
    for key, value in settings.items():
        config = with_value(config, key, value)
    return resolve_addresses(config, host)


@pytest.mark.parametrize(
    ("settings", "bound", "advertised"),
    [
        ({}, "0.0.0.0", "10.1.2.3:4647"),
        ({"bind_addr": "10.0.0.1"}, "10.0.0.1", "10.0.0.1:4647"),
        ({"bind_addr": "10.0.0.1", "ports.rpc": 7}, "10.0.0.1", "10.0.0.1:7"),
        ({"addresses.rpc": "10.0.0.2"}, "10.0.0.2", "10.0.0.2:4647"),
        ({"advertise.rpc": "10.0.0.3"}, "0.0.0.0", "10.0.0.3:4647"),
        ({"advertise.rpc": "10.0.0.3:9"}, "0.0.0.0", "10.0.0.3:9"),
        ({"advertise.rpc": "a-host.example:9"}, "0.0.0.0", "a-host.example:9"),
        ({"bind_addr": "fd00::1"}, "fd00::1", "[fd00::1]:4647"),
        ({"bind_addr": "fd00::1", "advertise.rpc": "[fd00::2]:5"}, "fd00::1", "[fd00::2]:5"),
        ({"bind_addr": "s1.example"}, "s1.example", "s1.example:4647"),
        ({"bind_addr": "{{ GetPrivateIP }}"}, "10.1.2.3", "10.1.2.3:4647"),
        ({"bind_addr": "{{GetPublicIP}}"}, "93.184.216.34", "93.184.216.34:4647"),
        ({"advertise.rpc": '{{ GetInterfaceIP "eth1" }}:1'}, "0.0.0.0", "93.184.216.34:1"),
        ({"advertise.rpc": "{{ GetInterfaceIP `eth0` }}"}, "0.0.0.0", "10.1.2.3:4647"),
    ],
)
def test_resolved(settings: dict[str, Any], bound: str, advertised: str) -> None:
    others = {
        key: "10.5.5.5" for key in ("advertise.http", "advertise.serf") if key not in settings
    }
    config = resolved({**others, **settings})
    assert (config.addresses.rpc, config.advertise.rpc) == (bound, advertised)
    assert rpc_bind(config) == Endpoint(bound, config.ports.rpc)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"bind_addr": "127.0.0.9"},
            (
                "Failed to parse HTTP advertise address (, 127.0.0.9, 4646, false): "
                "Defaulting advertise to localhost is unsafe, please set advertise manually"
            ),
        ),
        (
            {"addresses.serf": "localhost"},
            "Failed to parse Serf advertise address (, localhost, 4648, false): Defaulting",
        ),
        ({"addresses.rpc": "::1"}, "Failed to parse RPC advertise address (, ::1, 4647, false): "),
        (
            {"advertise.rpc": "a:b:c"},
            'Failed to parse RPC advertise address (a:b:c, 0.0.0.0, 4647, false): "a:b:c" is no',
        ),
        (
            {"advertise.http": "10.0.0.1:65536"},
            'Failed to parse HTTP advertise address (10.0.0.1:65536, 0.0.0.0, 4646, false): "65',
        ),
        (
            {"advertise.rpc": "0.0.0.0"},
            "Failed to parse RPC advertise address (0.0.0.0, 0.0.0.0, 4647, false): no other",
        ),
        ({"bind_addr": "300.1.2.3"}, 'bind_addr: "300.1.2.3" is no IP address or host name'),
        ({"bind_addr": "a b"}, 'bind_addr: "a b" is no IP address or host name'),
        ({"addresses.rpc": "10.0.0.1 10.0.0.2"}, 'addresses.rpc: "10.0.0.1 10.0.0.2" is no IP'),
        ({"addresses.http": "10.0.0.1 x:y"}, 'addresses.http: "x:y" is no IP address or host'),
        (
            {"bind_addr": "{{ GetAllInterfaces }}"},
            "bind_addr: template {{ GetAllInterfaces }} is not supported",
        ),
        (
            {"bind_addr": '{{ GetInterfaceIP "wg0" }}'},
            'bind_addr: {{ GetInterfaceIP "wg0" }} finds no IPv4 address on this host',
        ),
    ],
)
def test_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(settings)
    assert caught.value.text.startswith(text)


def test_a_host_without_private_address_must_say_what_to_advertise() -> None:
    with pytest.raises(ConfigError, match="this host has no private IPv4 address"):
        resolved({}, host=MadeUpHost(lo="127.0.0.1", eth0="93.184.216.34"))


def test_loopback_may_be_advertised_on_purpose_and_in_dev_mode() -> None:
    written = resolved(
        {"bind_addr": "127.0.0.9"}
        | {f"advertise.{p}": "127.0.0.9" for p in ("http", "rpc", "serf")}
    )
    assert written.advertise.serf == "127.0.0.9:4648"
    assert resolved({"bind_addr": "127.0.0.1"}, dev=True).advertise.rpc == "127.0.0.1:4647"


def test_http_may_bind_to_several_addresses() -> None:
    config = resolved({"addresses.http": "10.0.0.1  {{ GetPrivateIP }}"})
    assert http_binds(config) == (Endpoint("10.0.0.1", 4646), Endpoint("10.1.2.3", 4646))
    assert config.advertise.http == "10.0.0.1:4646"


def test_whom_to_ask() -> None:
    config = with_value(
        AgentConfig(),
        "server.server_join.retry_join",
        ("10.0.0.1", "10.0.0.1:4648", "10.0.0.2:5000", "s1.example:4647"),
    )
    assert join_addresses(config) == ("10.0.0.1:4647", "10.0.0.2:5000", "s1.example:4647")
    assert join_addresses(AgentConfig()) == ()


def test_whom_to_join_by_gossip() -> None:
    config = with_value(AgentConfig(), "ports.serf", 5648)
    written = ("10.0.0.1", "10.0.0.1:5648", "[fd00::1]:4648", "fd00::2", "s1.example")
    assert gossip_addresses(config, written) == (
        "10.0.0.1:5648",
        "[fd00::1]:4648",
        "[fd00::2]:5648",
        "s1.example:5648",
    )


@given(st.text(max_size=30))
def test_an_endpoint_is_read_or_refused(text: str) -> None:
    try:
        endpoint = parse_endpoint(text, 1)
    except ValueError:
        return
    assert parse_endpoint(str(endpoint), None) == endpoint


def test_this_machine_answers() -> None:
    host = Host()
    assert host.name()
    assert all(each.address.version == 4 for each in host.interfaces())
    assert [str(each) for each in host.resolve("127.0.0.1")] == ["127.0.0.1"]
    assert host.resolve("no such host") == ()
