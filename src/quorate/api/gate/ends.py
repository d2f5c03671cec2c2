"""Streams, and queries that wait, end with the right to them.

Each is looked at twice a second, by one timer for all, so it ends within a second of the moment at
which its token was deleted, expired, or lost a right. One look costs what an admission costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Final, Self, TypeVar

from quorate.api.gate.admission import Admission
from quorate.api.http.messages import StreamResponse
from quorate.errors import QuorateError
from quorate.server.rpc.pieces import ByteStream

LOOK_S: Final = 0.5

_R = TypeVar("_R")


class _Closed:
    """`pieces`, looked at by a generator, which closes nothing if it was never begun."""

    def __init__(self, looked_at: AsyncGenerator[bytes, None], pieces: ByteStream) -> None:
        self._looked_at = looked_at
        self._pieces = pieces

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> bytes:
        """The next piece."""
        return await anext(self._looked_at)

    async def aclose(self) -> None:
        """See `ByteStream`."""
        await self._looked_at.aclose()
        await self._pieces.aclose()


class Ends:
    """The looks of one application. Used on its loop."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Future[None], Admission] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are looked at."""
        return len(self._open)

    async def while_admitted(self, admission: Admission, answering: Awaitable[_R]) -> _R:
        """The result, unless the admission ends before it is there: raises why."""
        task = asyncio.ensure_future(answering)
        ended = self._begin(admission)
        try:
            await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                ended.result()  # raises
            return await task
        finally:
            self._end(ended)
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def streamed(self, admission: Admission, response: StreamResponse) -> StreamResponse:
        """The answer in pieces, which ends with the admission.

        One of known length is cut, so that it does not look whole; another one ends.
        """
        whole = response.length is not None
        pieces = _Closed(self._pieces(admission, response.pieces, cut=whole), response.pieces)
        headers = response.headers
        return StreamResponse(response.status, pieces, headers, length=response.length)

    async def _pieces(
        self, admission: Admission, pieces: ByteStream, *, cut: bool
    ) -> AsyncGenerator[bytes, None]:
        ended = self._begin(admission)
        task: asyncio.Future[bytes] | None = None
        try:
            while True:
                task = asyncio.ensure_future(anext(pieces))
                await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    if cut:
                        ended.result()  # raises
                    ended.exception()
                    return
                try:
                    piece = task.result()
                except StopAsyncIteration:
                    return
                yield piece
        finally:
            self._end(ended)
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await pieces.aclose()

    # -- the looks -----------------------------------------------------------------------------

    def _begin(self, admission: Admission) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._open[ended] = admission
        if self._timer is None:
            self._timer = loop.call_later(LOOK_S, self._look)
        return ended

    def _end(self, ended: asyncio.Future[None]) -> None:
        self._open.pop(ended, None)
        if not ended.done():
            ended.cancel()

    def _look(self) -> None:
        self._timer = None
        for ended, admission in tuple(self._open.items()):
            try:
                admission.admit(proven=False, again=True)
            except QuorateError as error:
                if not ended.done():
                    ended.set_exception(error)
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
