"""From values to bytes: JSON in the key orders of today's servers, errors as text, gzip, heads.

Rules: docs/http-api.md#bodies. Every response says `Vary: Accept-Encoding`; a body, of an error
too, is compressed when the request accepts gzip; success with data is JSON without a final newline,
success without data has no Content-Type, an error is its message and nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from http import HTTPStatus
from typing import Any, Final

import msgspec

from quorate.api.http.messages import Header, Rendered, Response, StreamResponse

JSON_TYPE: Final = (b"Content-Type", b"application/json")
TEXT_TYPE: Final = (b"Content-Type", b"text/plain; charset=utf-8")
HTML_TYPE: Final = (b"Content-Type", b"text/html; charset=utf-8")

_LINE: Final = b"%b: %b\r\n".__mod__
_VARY: Final = (b"Vary", b"Accept-Encoding")
_OF_NONE: Final = (_VARY,)  # headers where no endpoint was reached
_GZIP: Final = (b"Content-Encoding", b"gzip")

# A window of 4 KiB instead of zlib's 32 KiB: what a body costs here is mostly the allocation of
# the window. Measured: 20 us against 110 us for a configuration of three servers (same 232
# bytes), 130 us against 280 us for agent/self (2,474 bytes against 2,468).
_GZIP_LEVEL: Final = 6
_GZIP_WINDOW_BITS: Final = 16 + 12  # 16 asks zlib for gzip's frame
_GZIP_MEMORY_LEVEL: Final = 5

_WITHOUT_LENGTH: Final = frozenset({int(HTTPStatus.NO_CONTENT), int(HTTPStatus.NOT_MODIFIED)})

_encode = msgspec.json.Encoder().encode


def json_response(
    value: Any, *, pretty: bool = False, headers: Iterable[Header] = (), status: int = 200
) -> Response:
    """`value` as compact JSON, or with four spaces and a final newline."""
    body = _encode(value)
    if pretty:
        body = msgspec.json.format(body, indent=4) + b"\n"
    return Response(status, body, (JSON_TYPE, *headers))


def text_response(
    status: int, text: str, *, headers: Iterable[Header] = (), handled: bool = True
) -> Response:
    """An error: the text alone. Without a text also without a Content-Type."""
    if not text:
        return Response(status, b"", headers, handled=handled)
    return Response(status, text.encode(errors="replace"), (TEXT_TYPE, *headers), handled=handled)


def empty_response(*, status: int = 200, headers: Iterable[Header] = ()) -> Response:
    """Success without data."""
    return Response(status, b"", headers)


def redirect_response(status: int, location: str, *, method: str) -> Response:
    """A redirect as Go's HTTP library sends it: the link is in the body of a GET only."""
    headers: list[Header] = [(b"Location", location.encode())]
    body = b""
    if method in {"GET", "HEAD"}:
        headers.append(HTML_TYPE)
    if method == "GET":
        body = f'<a href="{escape(location)}">{HTTPStatus(status).phrase}</a>.\n\n'.encode()
    return Response(status, body, headers, handled=False)


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the value of Accept-Encoding names gzip with a weight that is not zero."""
    for part in accept_encoding.split(b","):
        name, *parameters = (piece.strip().lower() for piece in part.split(b";"))
        if name == b"gzip":
            return not any(map(_is_zero_weight, parameters))
    return False


def _is_zero_weight(parameter: bytes) -> bool:
    name, _, value = parameter.partition(b"=")
    try:
        return name.strip() == b"q" and float(value) == 0.0
    except ValueError:
        return False


def gzipped(body: bytes) -> bytes:
    """`body` in gzip's format, without a time in it: equal bodies give equal bytes."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS, _GZIP_MEMORY_LEVEL)
    return compressor.compress(body) + compressor.flush()


class Renderer:
    """Adds what all responses have, and the headers that this agent was configured to send."""

    def __init__(self, configured_headers: Mapping[str, str]) -> None:
        configured = ((name.encode(), value.encode()) for name, value in configured_headers.items())
        self._of_endpoints: tuple[Header, ...] = (_VARY, *configured)

    def render(self, response: Response, *, compressed: bool) -> Rendered:
        """The response ready to be sent. Kept with the response, so the second time is free."""
        key = (self, compressed)
        rendered = response.rendered.get(key)
        if rendered is None:
            rendered = response.rendered[key] = self._render(response, compressed)
        return rendered

    def _render(self, response: Response, compressed: bool) -> Rendered:
        headers = response.headers + (self._of_endpoints if response.handled else _OF_NONE)
        body, status = response.body, response.status
        if compressed and body:
            body = gzipped(body)
            headers += (_GZIP,)
        length = response.length if isinstance(response, StreamResponse) else len(body)
        if length is not None and status not in _WITHOUT_LENGTH:
            headers += ((b"Content-Length", b"%d" % length),)
        head = status_line(status) + b"".join(map(_LINE, headers))
        return Rendered(status, head, headers, body)


@lru_cache(maxsize=64)
def status_line(status: int) -> bytes:
    """The first line of a response, with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
