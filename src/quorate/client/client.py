"""The client that waits for answers (docs/client.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from quorate.client.calls.call import Answer, Call, Query, Waiting, refusal
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
from quorate.client.transport.ends import NO_LEADER, Ends
from quorate.client.transport.transport import Transport
from quorate.client.transport.wire import Reaching, Wire
from quorate.client.variables import Variables

T = TypeVar("T")


class Client(Operations, Settled, Waiting):
    """A connection to one agent; every call raises ClientError (see `quorate.client.errors`).

    For the arguments see `Settled`; the calls of the operator API are those of `Operations`.
    """

    def _connect(self, reaching: Sequence[Reaching]) -> None:
        self.variables = Variables(self)
        self._ends = Ends(reaching, Transport)

    @property
    def _wire(self) -> Wire:
        return self._ends.current.wire

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for end in self._ends.made():
            end.close()

    def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer."""
        asked = call.request
        return call.read(
            self.request(
                asked.method,
                asked.path,
                query=asked.query,
                body=asked.body,
                timeout_s=asked.timeout_s,
            )
        )

    def request(
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
                answer = end.send(
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

    def events(
        self, topics: Iterable[str] = (), *, index: int = 0, namespace: str = ""
    ) -> Iterator[Event]:
        """What changes, as it changes, until the server ends it (docs/events.md).

        `topics` are `Topic` or `Topic:key`; none is all. `index` is that of the first event that is
        wanted; 0: begin with all that the server remembers. An event of the type `EventsMissed`
        says that some may be missing. Raises RequestError when the connection is lost: go on with
        `index=event.index + 1`.
        """
        reader = EventReader()
        query = self._routed(STREAM, events_query(topics, index, namespace))
        for piece in self._opened(lambda end: end.stream(end.wire.url(STREAM, query), SILENCE_S)):
            yield from reader.read(piece)

    def monitor(
        self, *, log_level: str = "", server_id: str = "", as_json: bool = False
    ) -> Iterator[str]:
        """The log of a server from now on, in pieces of text, until the server ends it.

        `server_id` is an ID, a name, or `leader`; empty: the server asked.
        """
        query = monitor_query(log_level, server_id, as_json=as_json)
        for piece in self._opened(lambda end: end.stream(end.wire.url(MONITOR, query))):
            yield text_of(piece)

    def _opened(self, opened: Callable[[Transport], Iterator[T]]) -> Iterator[T]:
        """The pieces of a stream, from the first address at which it begins."""
        attempts = self._ends.attempts()
        for end in attempts:
            pieces = opened(end)
            begun = False
            try:
                for piece in pieces:
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

    def save_snapshot(self, write: Callable[[bytes], object], *, stale: bool = False) -> int:
        """Give an archive of the cluster's state to `write` in pieces; its size in bytes.

        `stale` asks this agent alone for what it has. Only when this returns the archive has come
        as the server made it: AnswerError if its SHA-256 is not the one that the server announced.
        """
        query = [("stale", "")] if stale else []
        given = self._routed(SNAPSHOT, query)
        answers = self._opened(lambda end: end.download(end.wire.url(SNAPSHOT, given)))
        received = Received(next(answers))
        for piece in answers:
            write(received.piece(piece))
        received.check()
        return received.size

    def restore_snapshot(
        self,
        pieces: Iterator[bytes],
        size: int,
        *,
        force: bool = False,
        dry_run: bool = False,
        details: bool = False,
        keep_acl: bool = False,
    ) -> RestoreReport | None:
        """Restore an archive of `size` bytes; with `dry_run` or `details` what changes by it.

        `force` restores another cluster's archive too, `keep_acl` leaves tokens, policies and
        roles as they are. None from servers that tell nothing. Raises StatusError before anything
        is sent with `dry_run` or `keep_acl` to servers that would restore all of it.
        """
        query = restore_query(force=force, dry_run=dry_run, details=details, keep_acl=keep_acl)
        if dry_run or keep_acl:
            self.upgrade_check()  # only servers of ours answer it, and know of these
        given, attempts = self._routed(SNAPSHOT, query), self._ends.attempts()
        for end in attempts:
            try:
                return restored(end.upload(end.wire.url(SNAPSHOT, given), pieces, size))
            except RequestError as error:
                attempts.failed(error, is_read=False)
        raise AssertionError("attempts end by an answer or an error")
