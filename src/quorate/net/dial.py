"""Opening connections to other servers: proven on both sides, or not opened.

Nothing that matters is sent before the listener has proven that it holds the key expected of it. A
server of feature level 0 knows no proof: it closes at the first byte, and is dialed again without
one, but only while the cluster's level is 0 (`Trust.lenient`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from quorate.errors import BadFrame
from quorate.net.names import connect
from quorate.net.peer import Peer
from quorate.net.tls.accepting import handshake_text
from quorate.net.tls.dialing import connect_tls
from quorate.net.trust import Trust
from quorate.wire.handshake import DialerHandshake, Speaker

if TYPE_CHECKING:  # what reads certificates is loaded by a server that has some
    from quorate.net.tls.keeper import TlsKeeper

DIAL_TIMEOUT_S: Final = 2.0

NO_PROOF: Final = (
    "it ends connections that ask for a proof of its ID: it is of a version before feature level "
    "1, or takes no more connections"
)


_ENDED: Final = (
    "it ended the TLS handshake: it speaks no TLS, or refuses this server's certificate, and then "
    "its log says why"
)


class NoProofError(ConnectionError):
    """The listener closed at the first byte of the handshake."""


P = TypeVar("P", bound=asyncio.Protocol)


class _Dialing(asyncio.Protocol):
    """The handshake on a new connection. `ended` is set when it is over, in whatever way."""

    def __init__(self, handshake: DialerHandshake, ended: asyncio.Future[None]) -> None:
        self._handshake = handshake
        self._ended = ended
        self.heard = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._handshake.first)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        assert self.transport is not None
        try:
            answer = self._handshake.feed(data)
        except BadFrame as error:
            self._end(error)
            self.transport.abort()
            return
        if answer:
            self.transport.write(answer)
        if self._handshake.peer is not None:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("EOF within the handshake"))

    def _end(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)


async def dial(
    address: str,
    make_protocol: Callable[[], P],
    trust: Trust,
    *,
    server_id: str = "",
    timeout_s: float = DIAL_TIMEOUT_S,
) -> tuple[P, Peer | None]:
    """Connect a protocol to the server at `address`; None stands for a peer without proof.

    With `server_id` only that server will do, and nothing that speaks against it; without one, a
    server that says that its own address is another one is dialed there. Raises OSError,
    TimeoutError; BadFrame when another server answers, or one that is not believed: then nothing
    of the protocol's was sent.
    """
    async with asyncio.timeout(timeout_s):
        if trust.dials_plain(address, server_id):
            return await _plain(address, make_protocol, trust), None
        opened = await _proven(address, trust, server_id)
        if isinstance(opened, str):
            opened = await _proven(opened, trust, server_id, again=False)
        if opened is None:
            return await _plain(address, make_protocol, trust), None
        assert not isinstance(opened, str)
        transport, handshake, dialed = opened
        assert handshake.peer is not None
        try:
            peer = await trust.admit(handshake.peer, handshake.voucher, dialed=dialed)
        except BaseException:
            transport.abort()  # in the deadline's or the caller's end: nobody else knows of it
            raise
        if transport.is_closing():
            raise ConnectionResetError("EOF behind the handshake")
        protocol = make_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol, peer


_Opened = tuple[asyncio.Transport, DialerHandshake, str]


async def _proven(
    address: str, trust: Trust, server_id: str, *, again: bool = True
) -> _Opened | str | None:
    """A proven connection; the address to dial instead; None: the server there knows no proof."""
    loop = asyncio.get_running_loop()
    check = trust.check_listener(server_id, address)
    handshake = trust.dialing(
        lambda other: check(other) or _another(dialing, other, trust, address)
    )
    ended: asyncio.Future[None] = loop.create_future()
    dialing = _Dialing(handshake, ended)
    try:
        await _connect(lambda: dialing, address, trust)
        await ended
    except ConnectionError:
        unheard = dialing.transport is not None and not dialing.heard
        if unheard and trust.knows_no_proof(address):
            return None
        if unheard:
            raise NoProofError(NO_PROOF) from None
        raise
    except BadFrame:
        if again and not server_id and check.elsewhere:
            return check.elsewhere
        raise
    except BaseException:
        if dialing.transport is not None:
            dialing.transport.abort()
        raise
    assert dialing.transport is not None
    return dialing.transport, handshake, address


async def _plain(address: str, make_protocol: Callable[[], P], trust: Trust) -> P:
    _, protocol = await _connect(make_protocol, address, trust)
    return protocol


async def _connect(
    make_protocol: Callable[[], P], address: str, trust: Trust
) -> tuple[asyncio.Transport, P]:
    """A connection with TLS, if this server speaks it. Raises OSError."""
    keeper, (host, port) = trust.tls, host_and_port(address)
    if keeper is None or not keeper.rpc or trust.speaks_plain(address):
        return await connect(make_protocol, host, port)
    opener = partial(_open_tls, address=address, keeper=keeper, trust=trust)
    return await connect(make_protocol, host, port, opener)


async def _open_tls(
    make_protocol: Callable[[], P],
    ip: str,
    port: int,
    *,
    address: str,
    keeper: TlsKeeper,
    trust: Trust,
) -> tuple[asyncio.Transport, P]:
    """A connection with TLS to one IP address of the server. Raises OSError."""
    try:
        return await connect_tls(make_protocol, ip, port, keeper)
    except ConnectionResetError:
        # It closed at the mode byte: it speaks no TLS yet. What is wrong with its certificate is
        # another error, and is never passed over.
        if not keeper.upgrading:
            raise ConnectionResetError(_ENDED) from None
        trust.knows_no_tls(address)
        return await connect(make_protocol, ip, port)
    except ssl.SSLError as error:
        why = handshake_text(error)
        trust.refused(address, f"TLS handshake: {why}")  # here alone it is known: no alert is sent
        raise OSError(f"TLS handshake with {address}: {why}") from error


def _another(dialing: _Dialing, other: Speaker, trust: Trust, address: str) -> str:
    """Empty, or why the certificate is not that of the server that proves itself there."""
    keeper = trust.tls
    if keeper is None or not keeper.rpc:
        return ""
    assert dialing.transport is not None
    server_id = other.record.server_id
    why = keeper.other(keeper.shown(dialing.transport), other.region, server_id)
    return f"{server_id} at {address}: {why}" if why else ""


async def dial_stream(
    address: str, trust: Trust, *, server_id: str, timeout_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`dial` for code that reads and writes a stream. Raises what `dial` raises."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    made: list[asyncio.BaseTransport] = []

    class Stream(asyncio.StreamReaderProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)
            super().connection_made(transport)

    protocol, _ = await dial(
        address, lambda: Stream(reader, loop=loop), trust, server_id=server_id, timeout_s=timeout_s
    )
    transport = cast("asyncio.WriteTransport", made[0])
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def greet(address: str, trust: Trust, *, timeout_s: float = 1.0) -> Peer | None:
    """Which server proves itself at `address`, if one does. Nothing is noted of it."""
    try:
        async with asyncio.timeout(timeout_s):
            opened = await _proven(address, trust, "", again=False)
    except (OSError, TimeoutError, BadFrame):
        return None
    if opened is None or isinstance(opened, str):
        return None
    transport, handshake, _ = opened
    transport.close()
    other = handshake.peer
    assert other is not None
    return Peer(record=other.record, region=other.region, address=other.address, key=other.key)


def host_and_port(address: str) -> tuple[str, int]:
    """Of "host:port". Raises OSError for what is no address."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 1 << 16:
        raise OSError(f"{address!r} is no address of the form host:port")
    try:
        host.encode("idna")  # as the resolver does, which raises no OSError for what is no name
    except UnicodeError:
        raise OSError(f"the host of {address!r} is no name that can be looked up") from None
    return host.strip("[]"), int(port)
