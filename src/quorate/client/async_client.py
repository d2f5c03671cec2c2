"""The client of an event loop: each call is awaited (docs/client.md#async)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

from quorate.client.calls.call import Answer, Awaiting, Call, Query, refusal
from quorate.client.calls.events import SILENCE_S, STREAM, EventReader, events_query, text_of
from quorate.client.calls.models import Event, RestoreReport
from quorate.client.calls.operations import Operations
from quorate.client.calls.snapshots import (
    MONITOR,
    SNAPSHOT,
    Received,
    monitor_query,
    restore_query,
    restored,
)
from quorate.client.errors import RequestError, StatusError
from quorate.client.settings import Settled
from quorate.client.transport.async_transport import AsyncTransport
from quorate.client.transport.ends import NO_LEADER, Ends
from quorate.client.transport.wire import Reaching, Wire
from quorate.client.variables import AsyncVariables

T = TypeVar("T")


class AsyncClient(Operations, Settled, Awaiting):
    """As `Client`, for asyncio: every call is awaited, every iterator is an `async` one.

    Example:
        async with AsyncClient("http://127.0.0.1:4646") as client:
            print(await client.leader())
            await client.variables.put("app/db", {"user": "a"}, cas=0)
    """

    def _connect(self, reaching: Sequence[Reaching]) -> None:
        self.variables = AsyncVariables(self)
        self._ends = Ends(reaching, AsyncTransport)

    @property
    def _wire(self) -> Wire:
        return self._ends.current.wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for end in self._ends.made():
            await end.close()

    async def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer."""
        asked = call.request
        return call.read(
            await self.request(
                asked.method,
                asked.path,
                query=asked.query,
                body=asked.body,
                timeout_s=asked.timeout_s,
            )
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        headers: list[tuple[str, str]] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send a request and return whatever comes back; only a missing answer is an error.

        `path` begins with `/`, or is a whole URL. Region and namespace of this client are added
        unless `path` or `query` has them.
        """
        given, attempts = self._routed(path, query), self._ends.attempts(path)
        for end in attempts:
            try:
                answer = await end.send(
                    method,
                    end.wire.url(path, given),
                    body=body,
                    headers=headers or [],
                    timeout_s=timeout_s,
                )
            except RequestError as error:
                attempts.failed(error, is_read=method == "GET")
            else:
                if answer.status == NO_LEADER[0] and NO_LEADER[1] in answer.body:
                    attempts.lost()  # it may be cut off from the others
                return answer
        raise AssertionError("attempts end by an answer or an error")

    def refusal(self, answer: Answer) -> StatusError:
        """The error that an answer without success tells of."""
        return refusal(answer)

    # -- streams -------------------------------------------------------------------------------

    async def events(
        self, topics: Iterable[str] = (), *, index: int = 0, namespace: str = ""
    ) -> AsyncIterator[Event]:
        """What changes, as it changes, until the server ends it; see `Client.events`."""
        reader = EventReader()
        query = self._routed(STREAM, events_query(topics, index, namespace))
        async with aclosing(
            self._opened(lambda end: end.stream(end.wire.url(STREAM, query), SILENCE_S))
        ) as pieces:
            async for piece in pieces:
                for event in reader.read(piece):
                    yield event

    async def monitor(
        self, *, log_level: str = "", server_id: str = "", as_json: bool = False
    ) -> AsyncIterator[str]:
        """The log of a server from now on, in pieces of text, until the server ends it.

        `server_id` is an ID, a name, or `leader`; empty: the server asked.
        """
        query = monitor_query(log_level, server_id, as_json=as_json)
        async with aclosing(
            self._opened(lambda end: end.stream(end.wire.url(MONITOR, query)))
        ) as pieces:
            async for piece in pieces:
                yield text_of(piece)

    async def _opened(
        self, opened: Callable[[AsyncTransport], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """The pieces of a stream, from the first address at which it begins."""
        attempts = self._ends.attempts()
        for end in attempts:
            begun = False
            try:
                async with aclosing(opened(end)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except RequestError as error:
                if begun:
                    attempts.lost()
                    raise
                attempts.failed(error, is_read=True)
            else:
                return

    # -- snapshots -----------------------------------------------------------------------------

    async def save_snapshot(self, write: Callable[[bytes], object], *, stale: bool = False) -> int:
        """Give an archive of the cluster's state to `write`; see `Client.save_snapshot`.

        `write` is called on the event loop: it must be quick.
        """
        query = [("stale", "")] if stale else []
        given = self._routed(SNAPSHOT, query)
        async with aclosing(
            self._opened(lambda end: end.download(end.wire.url(SNAPSHOT, given)))
        ) as answers:
            received = Received(await anext(answers))
            async for piece in answers:
                write(received.piece(piece))
        received.check()
        return received.size

    async def restore_snapshot(
        self,
        pieces: AsyncIterator[bytes],
        size: int,
        *,
        force: bool = False,
        dry_run: bool = False,
        details: bool = False,
        keep_acl: bool = False,
    ) -> RestoreReport | None:
        """Restore an archive of `size` bytes; see `Client.restore_snapshot`."""
        query = restore_query(force=force, dry_run=dry_run, details=details, keep_acl=keep_acl)
        if dry_run or keep_acl:
            await self.upgrade_check()  # only servers of ours answer it, and know of these
        given, attempts = self._routed(SNAPSHOT, query), self._ends.attempts()
        for end in attempts:
            try:
                return restored(await end.upload(end.wire.url(SNAPSHOT, given), pieces, size))
            except RequestError as error:
                attempts.failed(error, is_read=False)
        raise AssertionError("attempts end by an answer or an error")
