"""Addresses as people write them: name/host:port, [v6]:port, host (docs/wire.md#probing)."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from quorate.gossip.messages import Address
from quorate.net.names import NO_DNS, lookup

_LOOKUP_S: Final = 10.0


class Target(NamedTuple):
    """One address to join: as it was written, the member's name if given, host and port."""

    text: str
    name: str
    host: str
    port: int


def parse_target(text: str, default_port: int) -> Target:
    """Raises ValueError, with a text for people, for what is no address."""
    name, slash, rest = text.partition("/")
    if not slash:
        name, rest = "", text
    host, port = _split(rest.strip(), default_port)
    if not host:
        raise ValueError(f'"{text}" names no host')
    return Target(text, name, host, port)


def is_literal(text: str) -> bool:
    """True if nothing has to be looked up for that address to join (or it is no address)."""
    try:
        return ip_text(parse_target(text, 1).host) is not None
    except ValueError:
        return True


def _split(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}" has a bracket without its other half')
        return host, _port(rest[1:], text) if rest else default_port
    if text.count(":") == 1:
        host, _, rest = text.partition(":")
        return host, _port(rest, text)
    return text, default_port  # a bare name, IPv4 address, or IPv6 address


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 1 << 16:
        raise ValueError(f'"{whole}" has no port between 1 and 65535')
    return int(text)


async def resolve(target: Target) -> list[Address]:
    """The addresses of a target, each once. Raises ValueError saying that there are none."""
    literal = ip_text(target.host)
    if literal is not None:
        return [Address(literal, target.port)]
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await lookup(target.host)
    except TimeoutError:
        raise ValueError(f"lookup {target.host}: i/o timeout: {NO_DNS}") from None
    except (OSError, UnicodeError) as error:
        raise ValueError(f"lookup {target.host}: {_why_unknown(error)}") from None
    return [Address(host, target.port) for host in found]


def _why_unknown(error: OSError | UnicodeError) -> str:
    """Whether the name is unknown, or nobody could be asked for it."""
    if isinstance(error, socket.gaierror) and error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL}:
        return f"{str(error.strerror).lower()}: {NO_DNS}"
    return "no such host"


def ip_text(host: str) -> str | None:
    """An IP address in its usual form, IPv4 in IPv6 as IPv4; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def join_text(address: Address) -> str:
    """host:port, with brackets around IPv6."""
    if ":" in address.host:
        return f"[{address.host}]:{address.port}"
    return f"{address.host}:{address.port}"
