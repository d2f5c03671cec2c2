"""Where an agent binds, and what it tells others: from what is written to real addresses.

The rules of docs/configuration.md#top-level: `addresses` default to `bind_addr`, `advertise` to the
bound address. A loopback address is never told to others unless that is written down, except in dev
mode; an agent bound to all addresses tells its first private one. In `bind_addr`, `addresses` and
`advertise` three go-sockaddr templates are understood.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from quorate.config.checks.endpoint import Endpoint, as_ip, is_host, parse_endpoint
from quorate.config.checks.host import Host, interface_address, private_address, public_address
from quorate.config.model import Addresses, Advertise, AgentConfig
from quorate.errors import ConfigError

_TEMPLATE: Final = re.compile(
    r'\{\{\s*(?:(GetPrivateIP|GetPublicIP)|GetInterfaceIP\s+["`]([^"`{}]+)["`])\s*\}\}'
)
_KNOWN: Final = '{{ GetPrivateIP }}, {{ GetPublicIP }} and {{ GetInterfaceIP "eth0" }}'


class _Protocol(NamedTuple):
    """One of the three that have addresses: its key and its name in errors."""

    key: str
    title: str


_PROTOCOLS: Final = (
    _Protocol("http", "HTTP"),
    _Protocol("rpc", "RPC"),
    _Protocol("serf", "Serf"),
)


def resolve_addresses(config: AgentConfig, host: Host) -> AgentConfig:
    """The configuration with real hosts in `addresses` and "host:port" in `advertise`.

    Raises ConfigError: not an address, unknown template, loopback that must not be told.
    """
    bind_addr = _bound(config, "bind_addr", config.bind_addr, host)
    addresses: dict[str, str] = {}
    advertise: dict[str, str] = {}
    for protocol in _PROTOCOLS:
        written = getattr(config.addresses, protocol.key) or bind_addr
        bound = _bound(config, f"addresses.{protocol.key}", written, host)
        addresses[protocol.key] = bound
        advertise[protocol.key] = str(_advertised(config, protocol, bound.split()[0], host))
    return replace(
        config,
        bind_addr=bind_addr,
        addresses=Addresses(**addresses),
        advertise=Advertise(**advertise),
    )


def _bound(config: AgentConfig, key: str, written: str, host: Host) -> str:
    """The host, or for http the hosts, to bind to."""
    text = " ".join(_expand(config, key, written, host).split())
    text = re.sub(r"\[([0-9A-Fa-f:.]+)\]", r"\1", text)  # as in a URL
    hosts = text.split() if key == "addresses.http" else [text]
    for each in hosts or [text]:
        if not is_host(each):
            raise ConfigError(
                f'{key}: "{each}" is no IP address or host name', _set_at(config, key)
            )
    return text


def _expand(config: AgentConfig, key: str, written: str, host: Host) -> str:
    """The text with its templates replaced."""

    def address(match: re.Match[str]) -> str:
        if match[2]:
            found = interface_address(host, match[2])
        else:
            found = (private_address if match[1] == "GetPrivateIP" else public_address)(host)
        if found is None:
            raise ConfigError(
                f"{key}: {match[0]} finds no IPv4 address on this host", _set_at(config, key)
            )
        return str(found)

    text = _TEMPLATE.sub(address, written)
    if "{{" in text:
        raise ConfigError(
            f"{key}: template {text} is not supported", f"write an address, or one of {_KNOWN}"
        )
    return text


def _advertised(config: AgentConfig, protocol: _Protocol, bound: str, host: Host) -> Endpoint:
    key = f"advertise.{protocol.key}"
    port: int = getattr(config.ports, protocol.key)
    written: str = getattr(config.advertise, protocol.key)
    if written:
        try:
            endpoint = parse_endpoint(_expand(config, key, written, host).strip(), port)
        except ValueError as error:
            raise _refused(config, protocol, bound, str(error)) from None
        if _is_unspecified(endpoint.host):
            raise _refused(
                config, protocol, bound, "no other server can reach an unspecified address"
            )
        return endpoint
    if _is_unspecified(bound):
        private = private_address(host)
        if private is None:
            text = "this host has no private IPv4 address, please set advertise manually"
            raise _refused(config, protocol, bound, text)
        return Endpoint(str(private), port)
    if _is_loopback(bound, host) and not config.dev_mode:
        text = "Defaulting advertise to localhost is unsafe, please set advertise manually"
        raise _refused(config, protocol, bound, text)
    return Endpoint(bound, port)


def _refused(config: AgentConfig, protocol: _Protocol, bound: str, text: str) -> ConfigError:
    """In the form of the golden case: written, bound, port, dev mode, then why."""
    written = getattr(config.advertise, protocol.key)
    port = getattr(config.ports, protocol.key)
    return ConfigError(
        f"Failed to parse {protocol.title} advertise address"
        f" ({written}, {bound}, {port}, {str(config.dev_mode).lower()}): {text}",
        f'set advertise {{ {protocol.key} = "<address others reach>" }}',
    )


def _set_at(config: AgentConfig, key: str) -> str:
    source = config.sources.get(key)
    return f"see {source}" if source is not None else ""


def _is_unspecified(host: str) -> bool:
    address = as_ip(host)
    return address is not None and address.is_unspecified


def _is_loopback(text: str, host: Host) -> bool:
    address = as_ip(text)
    addresses = host.resolve(text) if address is None else (address,)
    return any(each.is_loopback for each in addresses)
