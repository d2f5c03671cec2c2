"""Which ports the servers of a dev cluster use.

A server has a set of three neighbours (HTTP, RPC, gossip); the sets are ten apart, so that the
usual 4646, 4647, 4648 belong to the first.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

from quorate.cli.context import Failure

HOST = "127.0.0.1"
STEP = 10
HIGHEST_PORT = 65535


class PortSet(NamedTuple):
    """The ports of one server."""

    http: int
    rpc: int
    serf: int

    @classmethod
    def starting_at(cls, http: int) -> PortSet:
        """Three neighbours."""
        return cls(http, http + 1, http + 2)


class PortPlan(NamedTuple):
    """The sets to use, one per server, and those that were skipped: (set, port in use)."""

    chosen: tuple[PortSet, ...]
    skipped: tuple[tuple[PortSet, int], ...]


def plan_ports(count: int, first_http: int, is_free: Callable[[int], bool]) -> PortPlan:
    """The first `count` free sets from `first_http` on. Raises Failure when ports run out."""
    chosen: list[PortSet] = []
    skipped: list[tuple[PortSet, int]] = []
    http = first_http
    while len(chosen) < count:
        ports = PortSet.starting_at(http)
        if ports.serf > HIGHEST_PORT:
            raise Failure(
                f"Error: not enough free ports from {first_http} on for {count} servers",
                "give a lower -http-port",
            )
        taken = first_taken(ports, is_free)
        if taken is None:
            chosen.append(ports)
        else:
            skipped.append((ports, taken))
        http += STEP
    return PortPlan(tuple(chosen), tuple(skipped))


def first_taken(ports: PortSet, is_free: Callable[[int], bool]) -> int | None:
    """The first port of the set that is in use, or None."""
    return next((port for port in ports if not is_free(port)), None)


def port_is_free(port: int) -> bool:
    """True if a server could listen there now, by TCP and by UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers do: a port of connections that just ended can be used again.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
