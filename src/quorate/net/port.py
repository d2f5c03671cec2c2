"""The one RPC port: the first byte of a connection says what is spoken (docs/wire.md#the-rpc-port).

0x11 opens a proven connection, in which a first byte comes again; Raft (0x02) goes to the replica,
HTTP (an ASCII letter) to the API, both with the proven server at the other end, or None. Whatever
else comes, or nothing within the handshake time, closes the connection. It is logged once per
origin and minute, so that a scanner cannot fill the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from quorate.errors import BadFrame, QuorateError
from quorate.net.admission import Admission
from quorate.net.listening import accept, accept_tls, stop_accepting
from quorate.net.peer import Peer
from quorate.net.tls.accepting import ENDED_WITHIN_S, Opening, TlsServer
from quorate.net.trust import Trust
from quorate.wire.first_byte import FirstByte, classify
from quorate.wire.handshake import HandshakeRefused, ListenerHandshake, Speaker

if TYPE_CHECKING:
    from quorate.net.tls.names import Certified

ProtocolFactory = Callable[[Peer | None], asyncio.Protocol]
"""Makes the protocol of one connection. Raises BadFrame when it is not for this peer."""

ProvenFactory = Callable[[Peer], asyncio.Protocol]
"""The same where only a proven server is answered."""


class RpcPort:
    """Counts connections per client address and hands each to what speaks its language.

    With `bare`, everything that does not open a proven connection is Raft without a mode byte, as
    hashicorp/raft's own transport sends it.
    """

    def __init__(
        self,
        *,
        trust: Trust,
        raft: ProtocolFactory,
        http: ProtocolFactory | None,
        refused: Callable[[str, str], None],
        handshake_timeout_s: float,
        connections_max: int,
        connections_total: int = 0,
        calls: ProvenFactory | None = None,
        bare: bool = False,
    ) -> None:
        """`connections_max` is per client address, `connections_total` of all; 0 is no limit."""
        self.calls = calls
        self.trust = trust
        self.raft = raft
        self.http = http
        self.refused = refused
        self.handshake_timeout_s = handshake_timeout_s
        self.admission = Admission(connections_max, connections_total)
        self.bare = bare
        self._switches: set[_Switch] = set()
        self._server: asyncio.Server | TlsServer | None = None
        self._closed = False

    async def listen(self, host: str, port: int) -> None:
        """Accept connections. Raises OSError when the address cannot be used."""
        keeper = self.trust.tls
        if keeper is None or not keeper.rpc:
            self._server = await accept(lambda: _Switch(self), host, port, backlog=512)
            return
        self._server = await accept_tls(
            *(lambda: _Switch(self), host, port, keeper, Opening.MODE_BYTE),
            backlog=512,
            handshake_timeout_s=self.handshake_timeout_s,
            refused=self.refused,
        )
        keeper.on_replaced.append(self._end_older)

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    @property
    def listening_on(self) -> tuple[str, int] | None:
        """Host and port, once it listens."""
        if self._server is None or not self._server.sockets:
            return None
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def close(self) -> None:
        """Stop accepting, and end what is open."""
        self._closed = True
        if self._server is not None:
            await stop_accepting(self._server)
        for switch in list(self._switches):
            switch.abort()
        if self._server is not None:
            await self._server.wait_closed()
        # A connection that was accepted in this turn is announced in the second from now, is
        # refused there, and its socket is closed in the third.
        for _ in range(4):
            await asyncio.sleep(0)

    def end_connections(self, unwanted: Callable[[Peer], bool]) -> None:
        """End the connections of proven servers that are not wanted any more."""
        for switch in list(self._switches):
            if switch.peer is not None and unwanted(switch.peer):
                switch.abort()

    def _end_older(self) -> None:
        """The certificates were exchanged: connections that were made with others end in time."""
        older = list(self._switches)
        for switch in older:
            switch.end_if_dialed_again()
        loop = asyncio.get_running_loop()

        def end() -> None:
            for switch in older:
                switch.abort()

        loop.call_later(ENDED_WITHIN_S, end)

    def admit(self, host: str, switch: _Switch) -> str:
        """Count a connection; empty, or why it is not served."""
        why = self.admission.admit(host, switch)
        if not why:
            self._switches.add(switch)
        return why

    def gone(self, switch: _Switch) -> None:
        """An admitted connection has ended."""
        self._switches.discard(switch)
        self.admission.gone(switch)


class _Switch(asyncio.Protocol):
    """Reads what opens a connection, then is only a shell around the protocol that it chose."""

    def __init__(self, port: RpcPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._handshake: ListenerHandshake | None = None
        self._admitting: asyncio.Task[None] | None = None
        self._early = b""  # what came while the proven server was being admitted
        self.peer: Peer | None = None
        self._shown: Certified | None = None  # its certificate, with TLS
        self._spoken = FirstByte.UNKNOWN
        self._host = ""
        self._admitted = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = self._transport.get_extra_info("peername")
        self._host = str(peer[0]) if peer else "unix"
        if self._port.closed:
            self.abort()
            return
        why = self._port.admit(self._host, self)
        self._admitted = not why
        if why:
            self._refuse(why)
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._port.handshake_timeout_s, self._too_late)
        keeper = self._port.trust.tls
        if keeper is not None and keeper.rpc:
            try:
                self._shown = keeper.shown(self._transport)
            except BadFrame as error:
                self._refuse(error.text)

    def _no_server(self) -> str:
        """Empty, or why the certificate is that of no server, whatever it goes on to prove."""
        keeper = self._port.trust.tls
        return "" if keeper is None or not keeper.rpc else keeper.stranger(self._shown)

    def _another(self, other: Speaker) -> str:
        """Empty, or why the certificate is not that of the server which proves itself here."""
        keeper = self._port.trust.tls
        if keeper is None or not keeper.rpc:
            return ""
        why = keeper.other(self._shown, other.region, other.record.server_id)
        return f"{other.record.server_id}: {why}" if why else ""

    def end_if_dialed_again(self) -> None:
        """End, unless it is of a request, which would be lost: that is not used much longer."""
        if self._spoken is not FirstByte.HTTP:
            self.abort()

    def abort(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    def make_room(self) -> None:
        """End the connection for the sake of a newer one."""
        self._refuse("it gives way to newer connections: there are too many of no members")

    def _too_late(self) -> None:
        begun = self._handshake is not None
        what = "no complete handshake" if begun else "no first byte"
        self._refuse(f"{what} within the handshake timeout")

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
            return
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._open(data)
        except HandshakeRefused as error:
            self._transport.write(error.farewell)
            self._port.refused(self._host, error.text)
            self._transport.close()
        except BadFrame as error:
            self._refuse(error.text)

    def _open(self, data: bytes) -> None:
        assert self._transport is not None
        if self._admitting is not None:
            self._early += data  # at most what one read gives: reading is paused
            return
        if self._handshake is not None and self.peer is None:
            self._shake(data)
            return
        spoken = classify(data[0])
        if self.peer is not None:
            self._speak(spoken, data)
        elif spoken is FirstByte.PROVEN:
            self._handshake = self._port.trust.listening(self._another)
            if data[1:]:
                self._shake(data[1:])
        elif why := self._no_server():
            self._refuse(why)
        else:
            self._speak(spoken, data)

    def _speak(self, spoken: FirstByte, data: bytes) -> None:
        """Let what speaks that language have the connection."""
        self._spoken = spoken
        if spoken is FirstByte.CALL and self.peer is not None and self._port.calls is not None:
            self._become(partial(self._port.calls, self.peer), data[1:])
        elif self._port.bare or spoken is FirstByte.RAFT:
            why = "" if self.peer is not None else self._unproven_problem()
            if why:
                self._refuse(why)
            else:
                if self._host in self._port.trust.unproven_hosts:
                    self._port.admission.is_member(self)
                self._become(
                    partial(self._port.raft, self.peer), data if self._port.bare else data[1:]
                )
        elif spoken is FirstByte.HTTP and self._port.http is not None:
            self._become(partial(self._port.http, self.peer), data)
        else:
            self._refuse(f"first byte 0x{data[0]:02x} ({spoken.value}) is not spoken here")

    def _unproven_problem(self) -> str:
        """Empty, or why Raft is not spoken here with a peer that has proven no ID."""
        trust = self._port.trust
        if why := trust.plain_problem(self._host):
            return why
        if trust.tls is None or not trust.tls.rpc:
            return ""
        return trust.tls.unproven(self._shown)

    def _shake(self, data: bytes) -> None:
        handshake = self._handshake
        assert handshake is not None
        assert self._transport is not None
        answer = handshake.feed(data)
        if answer:
            self._transport.write(answer)
        if handshake.peer is not None:
            self._early = handshake.rest
            self._transport.pause_reading()
            self._admitting = asyncio.get_running_loop().create_task(self._admit(handshake))

    async def _admit(self, handshake: ListenerHandshake) -> None:
        assert handshake.peer is not None
        try:
            peer = await self._port.trust.admit(handshake.peer, handshake.voucher)
        except (QuorateError, OSError) as error:
            self._refuse(f"its start cannot be noted: {error}")
            return
        self.peer, self._admitting = peer, None
        if self._port.trust.is_member(peer):
            self._port.admission.is_member(self)
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.resume_reading()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _become(self, factory: Callable[[], asyncio.Protocol], rest: bytes) -> None:
        assert self._transport is not None
        inner = factory()
        if self._timer is not None:
            self._timer.cancel()
        self._inner = inner
        inner.connection_made(self._transport)
        if rest:
            inner.data_received(rest)

    def _refuse(self, why: str) -> None:
        if self._transport is not None:
            if why:
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
        if self._admitting is not None:
            self._admitting.cancel()
        if self._admitted:
            self._port.gone(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)
