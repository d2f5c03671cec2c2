"""A request and a response as the API sees them, whatever way they came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from quorate.acl.caller import EVERYONE, Caller
from quorate.api.codec.params import Query
from quorate.api.gate.admission import Admission, Need
from quorate.api.http.streams import BodyStream
from quorate.server.rpc.forwarding import ForwardRequest
from quorate.server.rpc.pieces import ByteStream

Header = tuple[bytes, bytes]

STREAM_BYTES_MAX: Final = 2**40
"""The largest bound that a row may give to a body that is streamed."""

BODY_BYTES_MAX: Final = 1024 * 1024
TARGET_BYTES_MAX: Final = 8 * 1024


class Request(msgspec.Struct, frozen=True):
    """`target` is path and query as received; header names are lower case.

    The body of a request to a row that streams is in `stream`, and `body` is empty. `passed` holds
    what of it goes to the leader, once that was asked: what comes again is the same object.
    `remote` is the other end of the connection, "IP:port"; empty for the control socket.
    """

    method: str
    target: bytes
    headers: Sequence[Header] = ()
    body: bytes = b""
    stream: BodyStream | None = None
    passed: list[ForwardRequest] = msgspec.field(default_factory=list)
    remote: str = ""

    def header(self, name: bytes) -> bytes:
        """The first header of that (lower case) name, or empty."""
        for known, value in self.headers:
            if known == name:
                return value
        return b""


class Response:
    """An answer before it is rendered: no length, encoding, date or configured headers yet.

    Treated as immutable, so that one object can answer many requests: `rendered` keeps what
    `encode.Renderer` made of it. `handled` is False where no endpoint was reached (unknown paths
    and redirects), which leaves out the configured headers (docs/http-api.md#bodies).
    """

    __slots__ = ("body", "handled", "headers", "rendered", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Iterable[Header] = (),
        *,
        handled: bool = True,
    ) -> None:
        self.status = status
        self.body = body
        self.headers: tuple[Header, ...] = tuple(headers)
        self.handled = handled
        self.rendered: dict[tuple[object, bool], Rendered] = {}

    def header(self, name: bytes) -> bytes:
        """The first header of that name (compared without case), or empty."""
        lowered = name.lower()
        for known, value in self.headers:
            if known.lower() == lowered:
                return value
        return b""


class StreamResponse(Response):
    """An answer whose body comes in pieces, for one request, from a row that streams.

    A piece is asked for when the client has read enough of those before. If the client goes away
    `pieces` is closed, or cancelled where it waits; an error there cuts the connection. `length`
    in bytes is sent if it is known. The body is never compressed.
    """

    __slots__ = ("length", "pieces")

    def __init__(
        self,
        status: int,
        pieces: ByteStream,
        headers: Iterable[Header] = (),
        *,
        length: int | None = None,
    ) -> None:
        super().__init__(status, b"", headers)
        self.pieces = pieces
        self.length = length


class Rendered(msgspec.Struct, frozen=True):
    """A response ready to be sent, but for the headers Date and Connection.

    `head` is the status line and all header lines; the empty line is not in it.
    """

    status: int
    head: bytes
    headers: tuple[Header, ...]
    body: bytes


def endpoint_of(client: tuple[str, int] | None) -> str:
    """The other end of a connection, as "IP:port"; empty where there is none, as of a file."""
    if client is None:
        return ""
    ip, port = client
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


class Call(msgspec.Struct, frozen=True):
    """A request that was routed. `tail` is what follows the prefix, decoded; else empty.

    `admission` is what its caller may do; None while access control is off.
    """

    request: Request
    query: Query
    tail: str = ""
    admission: Admission | None = None

    @property
    def caller(self) -> Caller:
        """The caller. Raises PermissionDenied, TokensNotCurrent, StateDamaged."""
        return EVERYONE if self.admission is None else self.admission.caller

    def need(self, need: Need) -> None:
        """Refuse the request unless the caller's rights are such (`Admission.need`)."""
        if self.admission is not None:
            self.admission.need(need)
