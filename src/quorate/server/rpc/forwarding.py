"""A request and an answer as they pass between servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from quorate.net.peer import Peer
from quorate.server.rpc.pieces import ByteStream


class ForwardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is passed to another server. `target` is path with query, as received.

    Header names are lower case, and hop-by-hop headers, Host and Content-Length are left out.
    `timeout_s` is how long the answer may take (a blocking query takes minutes). With a `stream`,
    which takes the place of `body`, the answer's body is a stream as well; then the time counts
    from the end of the one to the beginning of the other. `encoded` is its bytes, by address, kept
    for a request without a body that is passed on again. With `to_member` it is for that server
    whether it leads or not.
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    timeout_s: float = 20.0
    stream: ByteStream | None = None
    to_member: bool = False
    encoded: dict[str, bytes] = msgspec.field(default_factory=dict)


class ForwardResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The other server's answer. Header names are lower case.

    The body is in `stream` if the request had a stream. Its reader must end it or close it.

    `peer` is the server that gave it, if its connection proved which one it is. `made` is for what
    its reader makes of it: the same bytes that come again are the same object.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    stream: ByteStream | None = None
    peer: Peer | None = None
    made: list[Any] = msgspec.field(default_factory=list)


class OnItsWay(msgspec.Struct, frozen=True):
    """A request that was sent. `answer` fails as `HttpPool.request` does.

    What cancels `answer` calls `abandon` with it, so that the other server hears of that.
    """

    answer: asyncio.Future[ForwardResponse]
    abandon: Callable[[asyncio.Future[ForwardResponse]], None]
