"""The application in its ASGI form, for requests that `http.protocol` does not answer itself.

A body is read up to the limit; what is over it is read to the end and thrown away, up to a
second limit, so that the client gets to see the answer. Rows that stream come this way always:
their handlers read the body piece by piece, and the pieces of an answer are asked for one by one,
each when the client has read enough of those before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, Final

from quorate.api.app import HttpApplication
from quorate.api.codec.encode import accepts_gzip, text_response
from quorate.api.http.messages import (
    BODY_BYTES_MAX,
    Header,
    Request,
    Response,
    StreamResponse,
    endpoint_of,
)
from quorate.api.http.streams import BodyStream, ClientGone, Message, Receive
from quorate.api.http.turns import Turns

logger: Final = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

DISCARDED_BYTES_MAX: Final = 16 * BODY_BYTES_MAX
_DISCARDING_S: Final = 2.0

TRANSPORT: Final = "quorate.transport"
"""Key of the scope: the connection's `asyncio.Transport`."""


def too_large(limit: int) -> Response:
    """The answer to a body over the limit."""
    return text_response(413, f"the request body is over the limit of {limit} bytes")


class AsgiApplication:
    """An ASGI 3 application around an `HttpApplication`. Speaks HTTP only, no lifespan."""

    def __init__(self, application: HttpApplication, turns: Turns) -> None:
        self._application = application
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", scope["type"]
        await self._turns.come()
        method, target = scope["method"], _target(scope)
        plan = self._application.plan(method, target)
        if plan.streams:
            await self._streaming(scope, receive, send, BodyStream(receive, plan.body_max))
            return
        body, complete = await _read_body(receive, plan.body_max)
        remote = endpoint_of(scope["client"])
        request = Request(method, target, tuple(scope["headers"]), body or b"", remote=remote)
        self._turns.began = monotonic()
        result = too_large(plan.body_max) if body is None else self._application.handle(request)
        self._turns.spend()
        response = result if isinstance(result, Response) else await result
        await self._send(request, response, send, close=not complete)

    async def _send(self, request: Request, response: Response, send: Send, *, close: bool) -> None:
        compressed = accepts_gzip(request.header(b"accept-encoding"))
        await send(self._head(response, compressed=compressed, close=close))
        body = self._application.renderer.render(response, compressed=compressed).body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _head(self, response: Response, *, compressed: bool, close: bool) -> Message:
        rendered = self._application.renderer.render(response, compressed=compressed)
        name, _, value = self._application.date_line().strip().partition(b": ")
        headers: list[Header] = [*rendered.headers, (name, value)]
        if close:
            headers.append((b"Connection", b"close"))
        return {"type": "http.response.start", "status": rendered.status, "headers": headers}

    # -- streams -------------------------------------------------------------------------------

    async def _streaming(
        self, scope: Scope, receive: Receive, send: Send, body: BodyStream
    ) -> None:
        request = Request(
            scope["method"],
            _target(scope),
            tuple(scope["headers"]),
            stream=body,
            remote=endpoint_of(scope["client"]),
        )
        try:
            if not _has_body(request):
                await body.discard(0)  # from now on the client has nothing to do but to read
            result = self._application.handle(request)
            response = result if isinstance(result, Response) else await result
            if isinstance(response, StreamResponse):
                if response.length is None and scope["http_version"] == "1.0":
                    await response.pieces.aclose()
                    response = text_response(505, "an answer in pieces needs HTTP/1.1")
                else:
                    await self._send_pieces(scope, receive, send, response, body)
                    return
            if not body.complete and not body.gone:
                await _discard(body)
            await self._send(request, response, send, close=not body.complete)
        except asyncio.CancelledError:  # this server stops
            await _cut(scope, receive)

    async def _send_pieces(
        self, scope: Scope, receive: Receive, send: Send, response: StreamResponse, body: BodyStream
    ) -> None:
        """Send the answer until it ends, fails, or the client goes away."""
        sending = asyncio.ensure_future(
            self._pieces(scope, send, response, close=not body.complete)
        )
        # While the handler still reads a body, it sees for itself that the client is gone.
        gone = asyncio.ensure_future(_until_gone(receive)) if body.complete else None
        try:
            await asyncio.wait(
                (sending, gone) if gone is not None else (sending,),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in (sending, gone):
                if task is not None:
                    task.cancel()
            await asyncio.gather(sending, *([gone] if gone else ()), return_exceptions=True)
            await response.pieces.aclose()
        error = None if sending.cancelled() else sending.exception()
        if error is not None and not isinstance(error, ClientGone):
            logger.error("answer to %r cut short: %s", _target(scope)[:200], error, exc_info=error)
            await _cut(scope, receive)

    async def _pieces(
        self, scope: Scope, send: Send, response: StreamResponse, *, close: bool
    ) -> None:
        await send(self._head(response, compressed=False, close=close))
        async for piece in response.pieces:
            if scope[TRANSPORT].is_closing():
                raise ClientGone
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(body: BodyStream) -> None:
    try:
        async with asyncio.timeout(_DISCARDING_S):
            await body.discard(DISCARDED_BYTES_MAX)
    except TimeoutError:
        return


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive) -> None:
    """Cut the connection, which tells the client that the answer is not whole."""
    scope[TRANSPORT].abort()
    await _until_gone(receive)


def _has_body(request: Request) -> bool:
    return bool(
        request.header(b"transfer-encoding") or request.header(b"content-length").strip(b"0")
    )


def _target(scope: Scope) -> bytes:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return raw_path + b"?" + query if query else raw_path


async def _read_body(receive: Receive, limit: int) -> tuple[bytes | None, bool]:
    """The body, None if it is over the limit; and whether all of it has come."""
    chunks: list[bytes] = []
    size = 0
    while size <= DISCARDED_BYTES_MAX:
        message = await receive()
        if message["type"] != "http.request":
            return b"", False
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return (b"".join(chunks) if size <= limit else None), True
    return None, False
