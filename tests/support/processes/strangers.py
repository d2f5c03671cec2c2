"""Connections to the RPC port of a real server, by one that has a key of its own and no more."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from typing import Any

from quorate.net.key_pair import KeyPair
from quorate.raft.values.identity import IdentityRecord, Start
from quorate.wire.handshake import DialerHandshake, Speaker

RAFT = b"\x02"


class Stranger:
    """Proves its own key; `says` is what it claims to be."""

    def __init__(self, server_id: str = "evil", **says: Any) -> None:
        self.key = KeyPair.generate()
        self.speaker = Speaker(
            record=IdentityRecord(
                server_id=server_id,
                cluster_id=says.get("cluster_id", ""),
                level=1,
                start=says.get("start", Start(1 << 40, b"evilevil")),
            ),
            region=says.get("region", "global"),
            address=says.get("address", "127.0.0.1:9"),
            key=self.key.public,
        )

    def connect(
        self, address: str, dressed: Callable[[socket.socket], socket.socket] | None = None
    ) -> socket.socket:
        """A proven connection. Raises BadFrame if the server wants none."""
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=8)
        if dressed is not None:
            connection = dressed(connection)
        handshake = DialerHandshake(self.speaker, self.key, secrets.token_bytes(32), lambda _: "")
        try:
            connection.sendall(handshake.first)
            while handshake.peer is None:
                data = connection.recv(4096)
                assert data, "closed within the handshake"
                connection.sendall(handshake.feed(data))
        except BaseException:
            connection.close()
            raise
        return connection

    def call(self, address: str, verb: str, body: Any) -> tuple[int, str]:
        """A call of one server to another: status and body."""
        return self.http(address, "POST", f"/v1/internal/{verb}", body)

    def http(self, address: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """An HTTP request on a proven connection."""
        with self.connect(address) as connection:
            return ask(connection, method, path, body)


def unproven(address: str) -> socket.socket:
    """A connection on which nothing is proven."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=8)


def ask(connection: socket.socket, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """One HTTP request: status and body."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n"
    connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + data)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), rest.decode(errors="replace")
