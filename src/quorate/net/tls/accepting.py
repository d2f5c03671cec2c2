"""Accepting connections at a port that speaks TLS.

The first byte is looked at on the raw socket, because TLS begins with the first byte that TLS sees:
behind a mode byte (RPC port), or at once (HTTP port). Whatever is not TLS is answered or closed
without a protocol ever hearing of it. A connection is counted before its handshake, which has a
deadline; only behind it does a protocol see the connection.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final, cast

from quorate.errors import BadFrame
from quorate.net.admission import Admission
from quorate.wire.first_byte import TLS_BYTE, TLS_RECORD_BYTE

if TYPE_CHECKING:  # what reads certificates is loaded by a server that has some
    from quorate.net.tls.keeper import TlsKeeper

PENDING_PER_HOST: Final = 64
"""Connections of one address whose handshake is not done."""
PENDING_TOTAL: Final = 512
"""Of all addresses. The oldest one gives way to a new one."""
ENDED_WITHIN_S: Final = 60.0
"""After an exchange of certificates no connection lives longer with the former ones."""
_ACCEPTS: Final = 16
_PAUSE_S: Final = 0.5
_PASSING: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_LINGER_S: Final = 2.0

_LATE: Final = "no TLS handshake within the handshake timeout"
_PLAIN_HTTP: Final = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


class Opening(Enum):
    """How TLS begins at a port."""

    MODE_BYTE = "behind a mode byte"  # the RPC port
    AT_ONCE = "at once"  # the HTTP port


class TlsServer:
    """Listening sockets, and the connections whose handshake is not done.

    It has what is used of `asyncio.Server`: `sockets`, `close`, `wait_closed`.
    `refused(host, why)` is told of each connection that reaches no protocol.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        factory: Callable[[], asyncio.Protocol],
        keeper: TlsKeeper,
        opening: Opening,
        *,
        handshake_timeout_s: float,
        refused: Callable[[str, str], None],
    ) -> None:
        self.factory = factory
        self.keeper = keeper
        self.opening = opening
        self.handshake_timeout_s = handshake_timeout_s
        self.refused = refused
        self.admission = Admission(PENDING_PER_HOST, PENDING_TOTAL)
        self.loop = asyncio.get_running_loop()
        self._pending: set[_Pending] = set()
        self._sockets = sockets
        for each in sockets:
            self.loop.add_reader(each, self._accept, each)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that listen."""
        return tuple(self._sockets)

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        identity = self.keeper.identity
        if self.opening is Opening.AT_ONCE and not self.keeper.verify_clients:
            return identity.open_listener
        return identity.proving_listener

    def unwanted(self, transport: asyncio.Transport) -> str:
        """Empty, or why the other end is refused although an authority of ours vouches for it."""
        if self.opening is Opening.MODE_BYTE:
            return ""  # the protocol of the RPC port looks itself, and says why
        try:
            return self.keeper.client(self.keeper.shown(transport))
        except BadFrame as error:
            return error.text

    def close(self) -> None:
        """Accept no more, and end what has not begun."""
        for each in self._sockets:
            self.loop.remove_reader(each)
            each.close()
        self._sockets = []
        for pending in list(self._pending):
            pending.end()

    async def wait_closed(self) -> None:
        """Return when nothing is pending."""
        shaking = [each.shaking for each in self._pending if each.shaking is not None]
        if shaking:
            await asyncio.wait(shaking)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                # As with a full disk: it passes, and until then nothing can be accepted.
                self.loop.remove_reader(listening)
                self.loop.call_later(_PAUSE_S, self._again, listening)
                return
            connection.setblocking(False)
            self._take(connection, str(address[0]))

    def _again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self.loop.add_reader(listening, self._accept, listening)

    def _take(self, connection: socket.socket, host: str) -> None:
        pending = _Pending(self, connection, host)
        if why := self.admission.admit(host, pending):
            self.refused(host, why)
            connection.close()
            return
        self._pending.add(pending)
        pending.begin()

    def gone(self, pending: _Pending) -> None:
        """It has become a connection, or ended."""
        if pending in self._pending:
            self._pending.discard(pending)
            self.admission.gone(pending)


class _Pending:
    """A connection that has not got its protocol."""

    def __init__(self, server: TlsServer, connection: socket.socket, host: str) -> None:
        self._server = server
        self._socket = connection
        self._host = host
        self._timer = server.loop.call_later(server.handshake_timeout_s, self._too_late)
        self._reading = False
        self._begun = False
        self.shaking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Wait for the first byte."""
        self._reading = True
        self._server.loop.add_reader(self._socket, self._readable)

    def end(self) -> None:
        """Close, unless a protocol has it."""
        self._timer.cancel()
        self._stop_reading()
        if self.shaking is not None:
            self.shaking.cancel()
            if self._begun:
                return  # it closes the socket, and tells the server
        self._socket.close()
        self._server.gone(self)

    def make_room(self) -> None:
        """End, for the sake of a newer one."""
        self._refuse("it gives way to newer connections: there are too many without a handshake")

    def _too_late(self) -> None:
        self._refuse(_LATE)

    def _refuse(self, why: str) -> None:
        self._server.refused(self._host, why)
        self.end()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._server.loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first:
            self.end()
            return
        server = self._server
        if server.opening is Opening.AT_ONCE:
            if first[0] == TLS_RECORD_BYTE:
                self._hand_over(server.context())
            else:
                self._answer_plain()
        elif first[0] == TLS_BYTE:
            self._socket.recv(1)
            self._hand_over(server.context())
        elif server.keeper.upgrading:
            self._hand_over(None)
        else:
            self._refuse("it speaks no TLS, which is asked for here (tls.rpc)")

    def _answer_plain(self) -> None:
        """As Go's HTTP server answers a request without TLS."""
        try:
            self._socket.send(_PLAIN_HTTP)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.end()
            return
        # A socket that is closed with unread data is reset, and the answer may be lost with it.
        self._timer.cancel()
        self._stop_reading()
        self._timer = self._server.loop.call_later(_LINGER_S, self.end)
        self._reading = True
        self._server.loop.add_reader(self._socket, self._drain)

    def _drain(self) -> None:
        try:
            rest = self._socket.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            rest = b""
        if not rest:
            self.end()

    def _hand_over(self, context: ssl.SSLContext | None) -> None:
        self._stop_reading()
        self.shaking = self._server.loop.create_task(self._shake(context))

    async def _shake(self, context: ssl.SSLContext | None) -> None:
        server, self._begun = self._server, True
        try:
            if context is None:
                await server.loop.connect_accepted_socket(server.factory, self._socket)
                return
            # None waits for another one: a stranger's that says nothing would hold up a member's.
            await server.loop.connect_accepted_socket(
                lambda: _Shown(server, self._host),
                self._socket,
                ssl=context,
                ssl_handshake_timeout=server.handshake_timeout_s,
            )
        except ssl.SSLError as error:
            server.refused(self._host, f"TLS handshake: {handshake_text(error)}")
        except ConnectionError:
            # The loop sends no alert of TLS, and so gets none: why is known there alone.
            server.refused(self._host, "the other end ended the TLS handshake: its log says why")
        except TimeoutError:
            server.refused(self._host, _LATE)
        except OSError as error:
            server.refused(self._host, f"TLS handshake: {error.strerror or error}")
        finally:
            self._timer.cancel()
            server.gone(self)


class _Shown(asyncio.Protocol):
    """Looks at the certificate of a client before its protocol hears of the connection."""

    def __init__(self, server: TlsServer, host: str) -> None:
        self._server = server
        self._host = host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake of TLS is done."""
        made = cast("asyncio.Transport", transport)
        server = self._server
        if why := server.unwanted(made):
            server.refused(self._host, why)
            made.abort()
            return
        protocol = server.factory()
        made.set_protocol(protocol)
        protocol.connection_made(made)


def handshake_text(error: ssl.SSLError) -> str:
    """Why a handshake failed, without the library's source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    reason = (error.reason or "").lower()
    for prefix in ("tlsv1_alert_", "tlsv13_alert_", "sslv3_alert_"):
        if reason.startswith(prefix):
            return f"the other end refuses: {reason[len(prefix) :].replace('_', ' ')}"
    return reason.replace("_", " ") or "it broke off"
