"""The two sockets of a member, UDP and TCP, on one port.

Packets are read by ourselves rather than by an asyncio protocol: after the loop stood still, all
that waits has to be heard before the clock is looked at, or acks that came in time count as late.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from quorate.errors import QuorateError
from quorate.gossip.messages import Address
from quorate.pool.addresses import ip_text, join_text

_PACKET_MAX: Final = 65_535
_AT_ONCE: Final = 256  # then it is others' turn on the loop
READING_S: Final = 0.002
"""CPU time after which it is, too."""

_BUFFER_BYTES: Final = 2 << 20
_TRIES: Final = 16
_BACKLOG: Final = 256


class Sockets:
    """UDP and TCP on one port. Raises QuorateError if they cannot be bound."""

    def __init__(self, host: str, port: int) -> None:
        literal = ip_text(host)
        if literal is None:
            raise QuorateError(f'cannot bind to "{host}"', "give an IP address of this machine")
        self._six = ":" in literal
        try:
            self.stream, self.packet = self._bind(literal, port)
        except OSError as error:
            raise QuorateError(
                f"cannot listen for gossip on {join_text(Address(literal, port))}:"
                f" {error.strerror or error}",
                "free that port (TCP and UDP), or choose another address or port",
            ) from None
        self.address: Final = Address(literal, self.stream.getsockname()[1])
        self._loop: asyncio.AbstractEventLoop | None = None

    def _bind(self, host: str, port: int) -> tuple[socket.socket, socket.socket]:
        for attempt in range(_TRIES):
            stream = self._open(socket.SOCK_STREAM, host, port)
            try:
                packet = self._open(socket.SOCK_DGRAM, host, stream.getsockname()[1])
            except OSError:
                stream.close()
                # A free port of the one kind may be taken in the other.
                if port or attempt == _TRIES - 1:
                    raise
                continue
            stream.listen(_BACKLOG)
            return stream, packet
        raise AssertionError

    def _open(self, kind: socket.SocketKind, host: str, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if self._six else socket.AF_INET, kind)
        try:
            sock.setblocking(False)
            if self._six:
                # `::` serves both families, as it does in Go.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        return sock

    def listen(
        self, loop: asyncio.AbstractEventLoop, received: Callable[[bytes, Address], None]
    ) -> None:
        """From now on `received` gets every packet."""
        self._loop = loop
        self._received = received
        loop.add_reader(self.packet, self.read_waiting)

    def read_waiting(self) -> None:
        """Read the packets that are here."""
        until = time.thread_time() + READING_S
        for _ in range(_AT_ONCE):
            if self._loop is None or time.thread_time() > until:
                return
            try:
                data, where = self.packet.recvfrom(_PACKET_MAX)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP answer to something we sent
            host = str(where[0])
            if host.startswith("::ffff:"):
                host = ip_text(host) or host
            self._received(data, Address(host, where[1]))

    def send(self, data: bytes, to: Address) -> str:
        """Send a packet; why it could not be sent, or nothing. Gossip bears lost packets."""
        host = to.host
        if self._six and ":" not in host:
            host = f"::ffff:{host}"
        try:
            self.packet.sendto(data, (host, to.port))
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "other")
        return ""

    def close(self) -> None:
        """Free the port."""
        if self._loop is not None:
            self._loop.remove_reader(self.packet)
            self._loop = None
        self.packet.close()
        self.stream.close()


def is_unspecified(host: str) -> bool:
    """True for 0.0.0.0 and ::, which nobody can be reached at."""
    return ip_address(host).is_unspecified
