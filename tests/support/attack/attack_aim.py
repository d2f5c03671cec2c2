"""What all attacks are made of: connections to the servers, packets, and the count of the bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeAlias

SOURCE = "127.66.0.1"
"""From where attacks come; the honest clients come from elsewhere."""

TLS_BYTE = b"\x04"
"""By which TLS begins at the RPC port."""

_WAIT_S = 0.2


class Port(Enum):
    """Where a client can knock."""

    HTTP = "http"
    RPC = "rpc"
    STREAM = "gossip TCP"
    PACKET = "gossip UDP"
    CONTROL = "control socket"


class Target(NamedTuple):
    """One server, as an attacker knows it: addresses, ID and name are no secret.

    `certificates` is the folder of those that it can have, if the servers speak TLS.
    """

    host: str
    http: int
    rpc: int
    serf: int
    control: str
    server_id: str
    name: str
    leads: bool
    certificates: str = ""

    @property
    def rpc_address(self) -> str:
        return f"{self.host}:{self.rpc}"

    def port(self, port: Port) -> int:
        return {Port.HTTP: self.http, Port.RPC: self.rpc}.get(port, self.serf)


Make: TypeAlias = Callable[[Target, int], bytes]
"""The bytes for this server, the n-th time."""


class Aim:
    """The servers, the time that is left, and what was sent."""

    def __init__(self, targets: list[Target], seconds: float) -> None:
        self.targets = targets
        self.sent = 0
        self.opened = 0
        self.kept: list[socket.socket] = []
        self.tls: ssl.SSLContext | None = None
        self._ends = time.monotonic() + seconds

    @property
    def leader(self) -> Target:
        return next(target for target in self.targets if target.leads)

    @property
    def followers(self) -> list[Target]:
        return [target for target in self.targets if not target.leads]

    def rounds(self) -> Iterator[int]:
        """Count until the time is over; once at least."""
        for number in count():
            yield number
            if self.left() <= 0:
                return

    def left(self) -> float:
        """Seconds."""
        return self._ends - time.monotonic()

    # -- one connection --------------------------------------------------------------------------

    def connect(self, port: Port, target: Target, source: str = SOURCE) -> socket.socket | None:
        """None if it is not taken."""
        try:
            if port is Port.CONTROL:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(_WAIT_S)
                connection.connect(target.control)
            else:
                where = (target.host, target.port(port))
                connection = socket.create_connection(where, _WAIT_S, (source, 0))
                connection = self.dressed(port, connection)
        except OSError:
            return None
        self.opened += 1
        return connection

    def dressed(self, port: Port, connection: socket.socket) -> socket.socket:
        """With TLS, if there is to be TLS. Raises OSError, and closes the connection."""
        if self.tls is None:
            return connection
        try:
            if port is Port.RPC:
                connection.sendall(TLS_BYTE)
            return self.tls.wrap_socket(connection)
        except OSError:
            connection.close()
            raise

    def send(self, connection: socket.socket, data: bytes) -> bool:
        """False if the server does not take it all."""
        view = memoryview(data)
        try:
            while view:
                done = connection.send(view[: 1 << 16])
                self.sent += done
                view = view[done:]
        except OSError:
            return False
        return True

    @staticmethod
    def hear(connection: socket.socket, most: int = 1 << 16, wait_s: float = _WAIT_S) -> bytes:
        """What is answered, until the connection ends or nothing comes."""
        said = b""
        with contextlib.suppress(OSError):
            connection.settimeout(wait_s)
            while len(said) < most and (piece := connection.recv(1 << 16)):
                said += piece
        return said

    # -- patterns --------------------------------------------------------------------------------

    def each(self, port: Port, make: Make, *, hears: int = 1) -> None:
        """Again and again: connect, send, hear `hears` bytes at most, close."""
        for number in self.rounds():
            for target in self.targets:
                if (connection := self.connect(port, target)) is None:
                    continue
                with connection:
                    if self.send(connection, make(target, number)) and hears:
                        self.hear(connection, hears, 0.05)

    def hold(self, port: Port, many: int, make: Make, piece: bytes = b"") -> None:
        """Open many connections, keep them, and feed each of them slowly; open what was closed."""
        held: list[tuple[socket.socket, Target]] = []
        for number in self.rounds():
            for target in self.targets:
                missing = many - sum(1 for _, at in held if at is target)
                for _ in range(min(missing, 20)):
                    if (link := self.connect(port, target)) is None:
                        break
                    self.kept.append(link)
                    if self.send(link, make(target, number)):
                        held.append((link, target))
            if piece:
                held = [(link, at) for link, at in held if self.send(link, piece)]
            time.sleep(min(0.05, max(0.0, self.left())))

    def pour(self, port: Port, head: bytes, piece: bytes) -> None:
        """On one connection at a time to each server: the head, then the piece without an end."""
        links: dict[Target, socket.socket] = {}
        for _ in self.rounds():
            for target in self.targets:
                if target not in links:
                    if (link := self.connect(port, target)) is None:
                        continue
                    self.kept.append(link)
                    if self.send(link, head):
                        links[target] = link
                elif not self.send(links[target], piece):
                    links.pop(target).close()

    def packets(self, make: Make) -> None:
        """As many packets as one core can send."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.bind((SOURCE, 0))
            for number in self.rounds():
                for target in self.targets:
                    data = make(target, number)
                    with contextlib.suppress(OSError):
                        self.sent += out.sendto(data, (target.host, target.serf))

    def end(self) -> None:
        """Close what is open."""
        for connection in self.kept:
            connection.close()
        self.kept.clear()


def tls_of(folder: str, name: str) -> ssl.SSLContext:
    """With the certificate of that name, or none; whose the other end has is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if name:
        context.load_cert_chain(Path(folder, f"{name}.pem"), Path(folder, f"{name}-key.pem"))
    return context


@contextlib.contextmanager
def in_tls(aim: Aim, name: str) -> Iterator[None]:
    """All TCP connections have TLS, with the certificate of that name, or none."""
    aim.tls = tls_of(aim.targets[0].certificates, name)
    try:
        yield
    finally:
        aim.tls = None
