"""A request and an answer as they pass between servers."""

from __future__ import annotations

import msgspec


class ForwardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is passed to another server. `target` is path with query, as received.

    Header names are lower case, and hop-by-hop headers, Host and Content-Length are left out.
    `timeout_s` is how long the answer may take (a blocking query takes minutes).
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    timeout_s: float = 20.0


class ForwardResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The other server's answer. Header names are lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
