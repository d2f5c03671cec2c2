"""The application in its ASGI form, for requests that `http_protocol` does not answer itself.

A body is read up to the limit; what is over it is read to the end and thrown away, up to a
second limit, so that the client gets to see the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from quorate.api.app import HttpApplication
from quorate.api.codec.encode import accepts_gzip, text_response
from quorate.api.http.messages import BODY_BYTES_MAX, Header, Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DISCARDED_BYTES_MAX: Final = 16 * BODY_BYTES_MAX


def too_large(limit: int) -> Response:
    """The answer to a body over the limit."""
    return text_response(413, f"the request body is over the limit of {limit} bytes")


class AsgiApplication:
    """An ASGI 3 application around an `HttpApplication`. Speaks HTTP only, no lifespan."""

    def __init__(self, application: HttpApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", scope["type"]
        method, target = scope["method"], _target(scope)
        limit = self._application.body_max(method, target)
        body, complete = await _read_body(receive, limit)
        request = Request(method, target, tuple(scope["headers"]), body or b"")
        result = too_large(limit) if body is None else self._application.handle(request)
        response = result if isinstance(result, Response) else await result
        await self._send(request, response, send, close=not complete)

    async def _send(self, request: Request, response: Response, send: Send, *, close: bool) -> None:
        compressed = accepts_gzip(request.header(b"accept-encoding"))
        rendered = self._application.renderer.render(response, compressed=compressed)
        name, _, value = self._application.date_line().strip().partition(b": ")
        headers: list[Header] = [*rendered.headers, (name, value)]
        if close:
            headers.append((b"Connection", b"close"))
        await send(
            {
                "type": "http.response.start",
                "status": rendered.status,
                "headers": headers,
            }
        )
        await send({"type": "http.response.body", "body": rendered.body, "more_body": False})


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
