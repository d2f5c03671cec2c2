"""One connection, one request, one answer: each bounded in time and size, each failure named.

It goes to the address itself, without a proxy of the environment: what a proxy says of a server
would be taken for the server's word. Names are looked up in threads that nobody waits for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httptools

from quorate.diagnosis.values import Failure, Trouble
from quorate.net.names import lookup

HEAD_BYTES_MAX: Final = 64 << 10
BODY_BYTES_MAX: Final = 4 << 20
"""The largest answer of ours that is asked for has some 100 KB."""

TEXT_MAX: Final = 300
_CUT: Final = "the connection was closed before the answer's end"
CONNECT_S: Final = 2.5

_UNREACHABLE: Final = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NO_DNS: Final = {socket.EAI_AGAIN, socket.EAI_FAIL}
_NO_TLS_THERE: Final = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


class Unanswered(Exception):
    """There is no answer; `failure` says why."""

    def __init__(self, kind: Trouble, text: str) -> None:
        super().__init__(text)
        self.failure = Failure(kind, plain(text))


class Place(NamedTuple):
    """Where an agent is. With `socket` the rest is for the header `Host`. `base` is its URL."""

    base: str
    host: str
    port: int
    socket: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""


class Answer(NamedTuple):
    """An answer: its status, its headers with names in lower case, and its whole body.

    `ends` is when the certificate of the other side ends, Unix seconds; None: none was checked.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    ends: float | None = None


def plain(text: str, most: int = TEXT_MAX) -> str:
    """Text from outside as one line that can do nothing to a terminal."""
    return "".join(char if char.isprintable() else " " for char in text[:most]).strip()


async def get(place: Place, path: str, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """The answer to `GET path`. Raises Unanswered."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    reader, writer = await _connect(place, timeout_s)
    try:
        async with asyncio.timeout_at(until):
            writer.write(_request(place, path, headers))
            answer = await _read(reader)
            return answer._replace(ends=_end_of(writer.get_extra_info("peercert")))
    except Unanswered as error:
        raise _in_tls(place, error) from None
    except TimeoutError:
        raise Unanswered(
            Trouble.HANGS, f"it accepts connections, and has not answered within {timeout_s:g} s"
        ) from None
    except OSError as error:
        raise _in_tls(place, _failed(error)) from None
    finally:
        writer.transport.abort()


def _end_of(certificate: dict[str, Any] | None) -> float | None:
    """Of the facts that the TLS library tells of a certificate that it has checked."""
    try:
        return float(ssl.cert_time_to_seconds(certificate["notAfter"])) if certificate else None
    except (KeyError, ValueError, TypeError):
        return None


async def dial(host: str, port: int, timeout_s: float = CONNECT_S) -> None:
    """Connect, and no more. Raises Unanswered."""
    _, writer = await _connect(Place("", host, port), timeout_s)
    writer.transport.abort()


async def _connect(
    place: Place, timeout_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    until, limit_s = loop.time() + timeout_s, min(timeout_s, CONNECT_S)
    ips = [] if place.socket else await _looked_up(place.host, limit_s)
    limit_s = min(max(0.1, until - loop.time()), CONNECT_S)
    try:
        async with asyncio.timeout(limit_s):
            if place.socket:
                return await asyncio.open_unix_connection(place.socket)
            return await _connect_tcp(place, ips)
    except TimeoutError:
        raise Unanswered(
            Trouble.SILENT, f"no connection to {place.host}:{place.port} within {limit_s:g} s"
        ) from None
    except (OSError, UnicodeError, ValueError) as error:
        raise _in_tls(place, _failed(error, place.host)) from None


def _in_tls(place: Place, error: Unanswered) -> Unanswered:
    """Servers that refuse a certificate, or miss one, often just close: no alert of TLS is sent."""
    if place.tls is None or error.failure.kind is not Trouble.CLOSED:
        return error
    if error.failure.text == _CUT:
        return error
    return Unanswered(
        Trouble.TLS,
        "the server closed the connection in the handshake: it probably wants a client certificate "
        "that it trusts (-client-cert, -client-key); its log says why",
    )


async def _looked_up(host: str, limit_s: float) -> list[str]:
    """The IP addresses of a name. Raises Unanswered: unknown, or nobody tells."""
    try:
        async with asyncio.timeout(limit_s):
            return await lookup(host)
    except TimeoutError:
        raise Unanswered(
            Trouble.DNS_SILENT, f"lookup {host}: the DNS has not answered within {limit_s:g} s"
        ) from None
    except (OSError, UnicodeError, ValueError) as error:
        raise _failed(error, host) from None


async def _connect_tcp(
    place: Place, ips: list[str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first of these addresses that takes a connection."""
    failed: OSError | None = None
    for address in ips:
        try:
            return await asyncio.open_connection(
                address,
                place.port,
                ssl=place.tls,
                server_hostname=(place.server_name or place.host) if place.tls else None,
            )
        except OSError as error:
            failed = failed or error
    raise failed or socket.gaierror(f"{place.host} has no address")


def _failed(error: Exception, host: str = "") -> Unanswered:
    """What an error of the network, of DNS or of TLS means."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, (socket.gaierror, UnicodeError)):
        passing = isinstance(error, socket.gaierror) and error.errno in _NO_DNS
        kind = Trouble.DNS_SILENT if passing else Trouble.DNS
        return Unanswered(kind, f"lookup {host}: {said}")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Unanswered(Trouble.CLOSED, "EOF")
    if isinstance(error, ssl.SSLError):
        return _tls_failed(error, said)
    kinds = (
        (Trouble.REFUSED, isinstance(error, (ConnectionRefusedError, FileNotFoundError))),
        (Trouble.UNREACHABLE, getattr(error, "errno", 0) in _UNREACHABLE),
        (Trouble.SILENT, isinstance(error, TimeoutError)),
    )
    kind = next((kind for kind, fits in kinds if fits), Trouble.CLOSED)
    if kind is not Trouble.CLOSED and isinstance(error, OSError) and error.errno:
        said = f"connect: {os.strerror(error.errno).lower()}"
    return Unanswered(kind, said)


def _tls_failed(error: ssl.SSLError, said: str) -> Unanswered:
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = Trouble.EXPIRED if error.verify_code == _EXPIRED else Trouble.TLS
        return Unanswered(kind, f"x509: {error.verify_message}")
    if error.reason in _NO_TLS_THERE:
        return Unanswered(Trouble.TLS, "it speaks plain HTTP there: use http://")
    reason = (error.reason or said).replace("_", " ").lower()
    return Unanswered(Trouble.EXPIRED if "expired" in reason else Trouble.TLS, f"tls: {reason}")


def _request(place: Place, path: str, headers: Mapping[str, str]) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{place.port}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class _Reading:
    """An answer as it comes in; the parser calls what begins with `on_`."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.whole = False
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.in_body = False
        self.size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.parser.get_status_code() >= 200:
            self.in_body = True
        else:
            self.headers = {}

    def on_body(self, data: bytes) -> None:
        self.body.append(data)
        self.size += len(data)

    def on_message_complete(self) -> None:
        self.whole = self.in_body


async def _read(reader: asyncio.StreamReader) -> Answer:
    reading, head = _Reading(), 0
    while not reading.whole:
        data = await reader.read(1 << 16)
        if not data:
            if reading.in_body and "content-length" not in reading.headers:
                break  # the end of the connection is that of the body
            raise Unanswered(Trouble.CLOSED, _CUT if head else "it was closed without an answer")
        head += 0 if reading.in_body else len(data)
        try:
            reading.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeError) as error:
            raise Unanswered(Trouble.GARBAGE, f"the answer is not HTTP: {error}") from None
        if reading.size > BODY_BYTES_MAX:
            raise Unanswered(Trouble.GARBAGE, f"the answer has more than {BODY_BYTES_MAX} bytes")
        if head > HEAD_BYTES_MAX and not reading.in_body:
            raise Unanswered(Trouble.GARBAGE, f"its head has more than {HEAD_BYTES_MAX} bytes")
    return Answer(reading.parser.get_status_code(), reading.headers, b"".join(reading.body))
