"""The one RPC port: the first byte of a connection says what is spoken (nomad-rpc-port, 1).

Raft (0x02) goes to the replica, HTTP (an ASCII letter) to the API. Whatever else comes, or
nothing within the handshake time, closes the connection; that is logged once per origin and
minute, so that a scanner cannot fill the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from quorate.wire.first_byte import FirstByte, classify

ProtocolFactory = Callable[[], asyncio.Protocol]


class RpcPort:
    """Counts connections per client address and hands each to who speaks its language."""

    def __init__(
        self,
        *,
        raft: ProtocolFactory,
        http: ProtocolFactory,
        refused: Callable[[str, str], None],
        handshake_timeout_s: float,
        connections_max: int,
    ) -> None:
        """`connections_max` is per client address; 0 is no limit."""
        self.raft = raft
        self.http = http
        self.refused = refused
        self.handshake_timeout_s = handshake_timeout_s
        self.connections_max = connections_max
        self.open: dict[str, int] = {}
        self._transports: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> None:
        """Accept connections. Raises OSError when the address cannot be used."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Switch(self), host, port, backlog=512)

    async def close(self) -> None:
        """Stop accepting, and end what is open."""
        if self._server is not None:
            self._server.close()
        for transport in list(self._transports):
            transport.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def admit(self, host: str, transport: asyncio.Transport) -> bool:
        """Count a connection; False if the client has too many."""
        count = self.open.get(host, 0) + 1
        if self.connections_max and count > self.connections_max:
            return False
        self.open[host] = count
        self._transports.add(transport)
        return True

    def gone(self, host: str, transport: asyncio.Transport) -> None:
        """An admitted connection has ended."""
        self._transports.discard(transport)
        count = self.open.get(host, 0) - 1
        if count > 0:
            self.open[host] = count
        else:
            self.open.pop(host, None)


class _Switch(asyncio.Protocol):
    """Reads the first byte, then is only a shell around the protocol that it chose."""

    def __init__(self, port: RpcPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._host = ""
        self._admitted = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = self._transport.get_extra_info("peername")
        self._host = str(peer[0]) if peer else "unix"
        self._admitted = self._port.admit(self._host, self._transport)
        if not self._admitted:
            self._refuse("too many connections from this address")
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._port.handshake_timeout_s, self._too_late)

    def _too_late(self) -> None:
        self._refuse("no first byte within the handshake timeout")

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
            return
        if self._transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        spoken = classify(data[0])
        if spoken is FirstByte.RAFT:
            self._become(self._port.raft(), data[1:])
        elif spoken is FirstByte.HTTP:
            self._become(self._port.http(), data)
        else:
            self._refuse(f"first byte 0x{data[0]:02x} ({spoken.value}) is not spoken here")

    def _become(self, inner: asyncio.Protocol, rest: bytes) -> None:
        assert self._transport is not None
        self._inner = inner
        inner.connection_made(self._transport)
        if rest:
            inner.data_received(rest)

    def _refuse(self, why: str) -> None:
        if self._transport is not None:
            self._port.refused(self._host, why)
            self._transport.abort()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._admitted and self._transport is not None:
            self._port.gone(self._host, self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)
