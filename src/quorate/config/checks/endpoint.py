"""Addresses as people write them: "host", "host:port", "[::1]:4647", "::1"."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address

PORT_MAX: Final = 65535
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_NAME_LENGTH_MAX: Final = 253


class Endpoint(NamedTuple):
    """A host (an IP address or a name, without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def as_ip(host: str) -> IPAddress | None:
    """The IP address, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_host(text: str) -> bool:
    """Whether it is an IP address or could be the name of a machine."""
    if as_ip(text) is not None:
        return True
    looks_numeric = text.replace(".", "").isdigit()
    return not looks_numeric and len(text) <= _NAME_LENGTH_MAX and _NAME.fullmatch(text) is not None


def parse_endpoint(text: str, default_port: int | None) -> Endpoint:
    """An address with its port, or with `default_port`. Raises ValueError with what is wrong."""
    host, port_text = _split(text)
    if not is_host(host):
        raise ValueError(f'"{host}" is no IP address or host name')
    if port_text is None:
        if default_port is None:
            raise ValueError("it has no port")
        return Endpoint(host, default_port)
    port = int(port_text) if re.fullmatch("[0-9]{1,5}", port_text, re.ASCII) else -1
    if not 0 < port <= PORT_MAX:
        raise ValueError(f'"{port_text}" is no port')
    return Endpoint(host, port)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("its brackets are wrong")
        return host, rest[1:] if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None
