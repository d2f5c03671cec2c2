"""A body on its way from a connection to its reader, which slows the connection down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, Self

from quorate.errors import QuorateError

HIGH_BYTES: Final = 256 * 1024
LOW_BYTES: Final = 64 * 1024


class ByteStream(Protocol):
    """A body in pieces. An async generator is one; what it holds it opens when it is begun."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Itself."""

    async def __anext__(self) -> bytes:
        """The next piece. Raises what ended the body before its end."""

    async def aclose(self) -> None:
        """No more pieces are wanted. Never raises."""


class Pieces:
    """At most `HIGH_BYTES` and one read of the connection wait for the reader.

    `pause` and `resume` act on the connection; `closed` is called once, when the reader has all,
    or wants no more: True if the body came whole. `idle_s` bounds the wait for a piece.
    """

    def __init__(
        self,
        *,
        pause: Callable[[], None],
        resume: Callable[[], None],
        closed: Callable[[bool], None],
        idle_s: float,
    ) -> None:
        self._pause = pause
        self._resume = resume
        self._closed: Callable[[bool], None] | None = closed
        self._idle_s = idle_s
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._paused = False
        self._whole = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, piece: bytes) -> None:
        """One more piece has come."""
        self._waiting.append(piece)
        self._bytes += len(piece)
        if self._bytes > HIGH_BYTES and not self._paused:
            self._paused = True
            self._pause()
        self._news.set()

    def end(self, error: Exception | None = None) -> None:
        """No more will come: that was all, or `error` says why not. The first end counts."""
        if not self._whole and self._error is None:
            self._whole, self._error = error is None, error
            self._news.set()

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> bytes:
        """See the protocol. Raises QuorateError when nothing comes for `idle_s`."""
        while not self._waiting:
            if self._whole:
                self._close(whole=True)
                raise StopAsyncIteration
            if self._error is not None:
                self._close(whole=False)
                raise self._error
            self._news.clear()
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._news.wait()
            except TimeoutError:
                self.end(QuorateError(f"the body stopped for {self._idle_s:g} s", "try again"))
        piece = self._waiting.popleft()
        self._bytes -= len(piece)
        if self._paused and self._bytes <= LOW_BYTES:
            self._paused = False
            self._resume()
        return piece

    async def aclose(self) -> None:
        """See the protocol."""
        self._close(whole=self._whole and not self._waiting)

    def _close(self, *, whole: bool) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(whole)
