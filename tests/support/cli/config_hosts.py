"""A machine of our own making, so that no test depends on the one it runs on."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from quorate.config.checks.endpoint import IPAddress
from quorate.config.checks.host import Host, Interface


class MadeUpHost(Host):
    """Name "box"; "localhost" and "s1.example" resolve; interfaces as given (name=address)."""

    def __init__(self, **interfaces: str) -> None:
        self._interfaces = tuple(
            Interface(name, IPv4Address(address)) for name, address in interfaces.items()
        )

    def name(self) -> str:
        return "box"

    def interfaces(self) -> tuple[Interface, ...]:
        return self._interfaces

    def resolve(self, name: str) -> tuple[IPAddress, ...]:
        known = {"localhost": "127.0.0.1", "s1.example": "10.9.9.1"}
        return (ip_address(known[name]),) if name in known else ()


HOST = MadeUpHost(lo="127.0.0.1", eth1="93.184.216.34", eth0="10.1.2.3")
