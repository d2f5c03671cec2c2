"""Listening on TCP ports: `::` serves both families, and what goes wrong names the setting."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from quorate.errors import QuorateError
from quorate.net.tls.accepting import Opening, TlsServer

if TYPE_CHECKING:
    from quorate.net.tls.keeper import TlsKeeper

_CURES: Final = {
    errno.EADDRINUSE: "another process uses that port: stop it, or set another one in ports.{key}",
    errno.EACCES: "ports below 1024 need a capability: set a higher one in ports.{key}, or grant "
    "CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address: correct bind_addr or "
    "addresses.{key}",
    errno.EAFNOSUPPORT: "this machine does not speak that family of addresses: correct bind_addr "
    "or addresses.{key}",
}
_NEXT_TIMER_S: Final = 1e-6
_NAME_UNKNOWN: Final = (
    "that name does not resolve on this machine: write an IP address into bind_addr or "
    "addresses.{key}"
)


async def accept_tls(
    factory: Callable[[], asyncio.Protocol],
    host: str,
    port: int,
    keeper: TlsKeeper,
    opening: Opening,
    *,
    backlog: int,
    handshake_timeout_s: float,
    refused: Callable[[str, str], None],
) -> TlsServer:
    """Accept connections that speak TLS. Raises OSError."""
    sockets = await _bound(host, port)
    for each in sockets:
        each.listen(backlog)
    return TlsServer(
        sockets, factory, keeper, opening, handshake_timeout_s=handshake_timeout_s, refused=refused
    )


async def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets at all addresses of the host. Raises OSError, and then there are none."""
    if host == "::":
        return [_both_families(port)]
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(infos):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


async def accept(
    factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, *, backlog: int
) -> asyncio.Server:
    """Accept connections. Raises OSError."""
    loop = asyncio.get_running_loop()
    if host == "::":
        return await loop.create_server(factory, sock=_both_families(port), backlog=backlog)
    return await loop.create_server(factory, host, port, backlog=backlog)


@contextmanager
def naming(key: str, host: str, port: int) -> Iterator[None]:
    """Turn an OSError of `accept` into a QuorateError; `key` ("http", "rpc") names the setting."""
    try:
        yield
    except OSError as error:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        unknown = isinstance(error, socket.gaierror)
        cure = _NAME_UNKNOWN if unknown else _CURES.get(error.errno or 0, "correct ports.{key}")
        raise QuorateError(
            f"cannot listen for {key.upper()} on {place}: {_reason(error)}", cure.format(key=key)
        ) from None


async def stop_accepting(server: asyncio.Server | TlsServer) -> None:
    """Close a server; what it has accepted before is announced to its protocol.

    asyncio makes the transport of a connection in the turn after it was accepted. If the server is
    closed in between, that fails, and the socket stays open. A timer fires behind all accepts of
    its turn, and what it wakes runs behind the transports of these.
    """
    await asyncio.sleep(_NEXT_TIMER_S)
    server.close()


def _both_families(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::", port))
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    """The system's words alone; asyncio puts a sentence of its own around them."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()
