"""The body of a request as a stream: read when its handler asks for more, and bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Self

from quorate.api.request_error import RequestError
from quorate.errors import QuorateError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientGone(RequestError):
    """The client went away, or kept us waiting for too long, before all of its body had come."""

    def __init__(self) -> None:
        super().__init__("the request ended before its body did")


class BodyWasRead(QuorateError):
    """A request that was to be tried again, with the next leader, but whose body is gone."""

    def __init__(self) -> None:
        super().__init__(
            "leadership changed while the body of the request was read", "send the request again"
        )


class BodyStream:
    """The bytes of `receive`, up to `limit`. A client that sends on waits until more is read.

    It can be gone through once: a second reader would take the rest for the whole. Raises
    RequestError: 413 for a body over the limit, ClientGone; and BodyWasRead.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.size = 0
        self.complete = False
        self.gone = False

    def __aiter__(self) -> Self:
        """Itself, unless something of it was read before."""
        if self.size:
            raise BodyWasRead
        return self

    async def __anext__(self) -> bytes:
        """The next piece, which is not empty."""
        while not self.complete:
            message = await self._receive()
            if message["type"] != "http.request":
                self.gone = True
                raise ClientGone
            piece: bytes = message.get("body", b"")
            self.complete = not message.get("more_body", False)
            self.size += len(piece)
            if self.size > self._limit:
                raise RequestError(
                    f"the request body is over the limit of {self._limit} bytes", 413
                )
            if piece:
                return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing: the connection is not ours."""

    async def discard(self, most: int) -> None:
        """Read on for nothing, `most` bytes or to the end, so that the client sees the answer."""
        self._limit = self.size + most
        with suppress(RequestError, StopAsyncIteration):
            while True:
                await anext(self)
