"""The two directions of a connection, sans-IO: bytes in, messages out.

See docs/wire.md#framing and #snapshots-on-the-stream.

A connection carries requests one way and their responses, in order, the other way. Bytes may be
cut anywhere. Both readers are done for after a BadFrame: the caller closes the connection, which
to Raft is the loss of some messages. Messages in the same piece before the bad one are lost with
it.

What a reader holds is bounded as `value_stream` says; the bytes of a snapshot are handed on as
they come.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeAlias

import msgspec

from quorate.errors import BadFrame
from quorate.raft.values.messages import AnyRequest, AnyResponse, InstallSnapshotRequest
from quorate.wire.go.msgpack import bad_frame
from quorate.wire.go.value_stream import INCOMPLETE, ValueStream
from quorate.wire.raft.messages import (
    RequestKind,
    error_text,
    read_kind,
    request_from_map,
    response_from_map,
)

_NO_ERROR: Final = b"\xa0"
"""The first byte of an answer, if all of it is the empty error text."""


class SnapshotChunk(msgspec.Struct, frozen=True, gc=False):
    """The next bytes of the snapshot that the last InstallSnapshotRequest announced."""

    data: bytes


class SnapshotEnd(msgspec.Struct, frozen=True, gc=False):
    """All bytes of the snapshot have come."""


RequestEvent: TypeAlias = AnyRequest | SnapshotChunk | SnapshotEnd


class RequestReader:
    """Reads what a client sends: requests, and snapshots behind their announcements.

    `max_message_bytes` bounds a request without its type byte and without snapshot bytes.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._values = ValueStream(max_message_bytes)
        self._kind: RequestKind | None = None
        self._snapshot_left = 0
        self._failed = False

    @property
    def unfinished(self) -> int:
        """Bytes held of a request whose end has not come."""
        return self._values.unfinished

    def feed(self, data: bytes) -> list[RequestEvent]:
        """The messages that became complete with these bytes, in order.

        Raises BadFrame for an unknown type byte, for bytes that are no request, for a request
        over the limit, and at every call after that.
        """
        if self._failed:
            raise bad_frame("a Raft connection was used after a bad frame")
        try:
            return self._feed(data)
        except BadFrame:
            self._failed = True
            self._values = ValueStream(0)  # lets go of what it held
            raise

    def _feed(self, data: bytes) -> list[RequestEvent]:
        events: list[RequestEvent] = []
        if self._snapshot_left:
            size = min(len(data), self._snapshot_left)
            self._add_chunk(data[:size], events)
            data = data[size:]
        if data:
            self._values.feed(data)
            while self._read_request(events):
                pass
        return events

    def _read_request(self, events: list[RequestEvent]) -> bool:
        """Read one request, and what is here of its snapshot. False: there are no more bytes."""
        if self._kind is None:
            type_byte = self._values.read_byte()
            if type_byte is None:
                return False
            self._kind = read_kind(type_byte)
        fields = self._values.read_value()
        if fields is INCOMPLETE:
            return False
        request = request_from_map(self._kind, fields)
        self._kind = None
        events.append(request)
        if isinstance(request, InstallSnapshotRequest):
            self._snapshot_left = request.size
            self._add_chunk(self._values.read_raw(request.size), events)
        return not self._values.is_empty

    def _add_chunk(self, data: bytes, events: list[RequestEvent]) -> None:
        if data:
            events.append(SnapshotChunk(data))
        self._snapshot_left -= len(data)
        if not self._snapshot_left:
            events.append(SnapshotEnd())


class ResponseReader:
    """Reads what a server answers. It has to be told which answers are due, by `expect`.

    `max_message_bytes` bounds an error text and a body, each.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._values = ValueStream(max_message_bytes)
        self._expected: deque[RequestKind] = deque()
        self._error: str | None = None
        self._failed = False

    def expect(self, kind: RequestKind) -> None:
        """A request of that kind was sent; its answer comes after those expected before."""
        self._expected.append(kind)

    def feed(self, data: bytes) -> list[tuple[AnyResponse | None, str]]:
        """The answers that became complete with these bytes: body and error text.

        The text is empty when all went well, and then there is a body. With an error there may
        be a body, too. Raises BadFrame for bytes that are no answer, an answer over the limit,
        an answer that nobody expects, and at every call after that.
        """
        if self._failed:
            raise bad_frame("a Raft connection was used after a bad frame")
        try:
            return self._feed(data)
        except BadFrame:
            self._failed = True
            self._values = ValueStream(0)  # lets go of what it held
            raise

    def _feed(self, data: bytes) -> list[tuple[AnyResponse | None, str]]:
        answers: list[tuple[AnyResponse | None, str]] = []
        values = self._values
        if self._error is None and self._expected and data[:1] == _NO_ERROR and values.is_empty:
            self._error, data = "", data[1:]  # nearly always
        if data:
            values.feed(data)
        while self._error is not None or not values.is_empty:
            if not self._expected:
                raise bad_frame("an answer to no request of ours")
            value = values.read_value()
            if value is INCOMPLETE:
                break
            if self._error is None:
                self._error = "" if value == b"" else error_text(value)
            else:
                answers.append(self._answer(value))
        return answers

    def _answer(self, body: Any) -> tuple[AnyResponse | None, str]:
        kind, error = self._expected.popleft(), self._error or ""
        self._error = None
        if body is None and error:
            return None, error
        return response_from_map(kind, body), error
