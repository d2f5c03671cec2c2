"""Dialing the RPC port of a server by TLS: a mode byte, the handshake, and then the protocol."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeVar

from quorate.certificates.names import Role, name_of
from quorate.wire.first_byte import TLS_BYTE

if TYPE_CHECKING:
    from quorate.net.tls.keeper import TlsKeeper

_MODE: Final = bytes((TLS_BYTE,))

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def connect_tls(
    make_protocol: Callable[[], P], address: str, port: int, keeper: TlsKeeper
) -> tuple[asyncio.Transport, P]:
    """A connection to an IP address. Raises OSError, among them what is wrong with certificates."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, (address, port))
        await loop.sock_sendall(sock, _MODE)
    except BaseException:
        sock.close()
        raise
    # From here on the loop closes it.
    return await loop.create_connection(
        make_protocol,
        sock=sock,
        ssl=keeper.identity.dialer,
        server_hostname=name_of(Role.SERVER, keeper.region),
    )
