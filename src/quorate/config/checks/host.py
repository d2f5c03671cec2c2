"""Facts about the machine that the configuration needs: its name and its addresses.

One small class, so that tests can put another machine in its place. Addresses are IPv4: IPv6 is
used where it is written in the configuration, but never chosen by itself.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final, NamedTuple

from quorate.config.checks.endpoint import IPAddress

_PRIVATE: Final = tuple(
    IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_SIOCGIFADDR: Final = {"linux": 0x8915, "darwin": 0xC0206921}
_FAR_AWAY: Final = ("192.0.2.1", 9)  # reserved for examples (RFC 5737); nothing is sent to it


class Interface(NamedTuple):
    """A network interface and its first IPv4 address."""

    name: str
    address: IPv4Address


class Host:
    """This machine."""

    def name(self) -> str:
        """The host name, the default of `name`."""
        return socket.gethostname()

    def interfaces(self) -> tuple[Interface, ...]:
        """Those with an IPv4 address; the one that leads to other networks comes first."""
        found = list(_interfaces())
        outward = _outward_address()
        return tuple(sorted(found, key=lambda each: each.address != outward))

    def resolve(self, name: str) -> tuple[IPAddress, ...]:
        """The addresses of a host name; none if it is not known."""
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        return tuple(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers)


def private_address(host: Host) -> IPv4Address | None:
    """The first private address (RFC 1918, RFC 6598) of the machine."""
    return next((each.address for each in host.interfaces() if _is_private(each.address)), None)


def public_address(host: Host) -> IPv4Address | None:
    """The first address of the machine that is reachable from everywhere."""
    return next((each.address for each in host.interfaces() if each.address.is_global), None)


def interface_address(host: Host, name: str) -> IPv4Address | None:
    """The address of an interface."""
    return next((each.address for each in host.interfaces() if each.name == name), None)


def _is_private(address: IPv4Address) -> bool:
    return any(address in network for network in _PRIVATE)


def _interfaces() -> Iterator[Interface]:
    request = _SIOCGIFADDR.get(sys.platform)
    if request is None:
        outward = _outward_address()
        if outward is not None:
            yield Interface("", outward)
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            question = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), request, question)
            except OSError:
                continue  # no IPv4 address on this one
            yield Interface(name, IPv4Address(answer[20:24]))


def _outward_address() -> IPv4Address | None:
    """The address from which this machine would speak to other networks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR_AWAY)
        except OSError:
            return None
        return IPv4Address(probe.getsockname()[0])
