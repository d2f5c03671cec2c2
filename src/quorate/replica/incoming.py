"""Requests of one peer: read in order, answered in order (docs/wire.md#framing).

Input from a peer never stops the server: what is no message, too large, of a version we do not
speak or of another cluster closes the connection and is reported once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from quorate.errors import BadFrame
from quorate.net.peer import Peer
from quorate.raft.values.messages import (
    PROTOCOL_VERSION,
    AnyRequest,
    AnyResponse,
    AppendEntriesRequest,
    InstallSnapshotRequest,
)
from quorate.storage.snapshots.store import SNAPSHOT_BYTES_MAX
from quorate.wire.raft.messages import encode_response
from quorate.wire.raft.stream import RequestReader, SnapshotChunk, SnapshotEnd

REQUEST_BYTES_MAX = 64 << 20
"""One request: an append with a large entry."""

UNPROVEN_BYTES_MAX = 64 << 20
"""Unfinished requests of all peers that are not proven members: one large append of a server of
the first version or of another make."""

REQUEST_TIMEOUT_S = 60.0
"""From the first byte of a request to its last, and for answers that are not read."""

_UNANSWERED_MAX = 1024
_WRONG_VERSION = "operation not supported with current protocol version"


class Held:
    """The bytes of unfinished requests that connections of others than members hold together."""

    def __init__(self) -> None:
        self.bytes = 0


class BodySink(Protocol):
    """Where the bytes of an incoming snapshot go."""

    def chunk(self, data: bytes) -> None:
        """The next bytes."""

    def end(self) -> None:
        """All bytes have come."""

    def broken(self) -> None:
        """The connection ended before all had come."""


class Handler(Protocol):
    """The interface of the replica that a connection needs."""

    def request_received(self, slot: Slot, request: AnyRequest) -> None:
        """A request; the answer goes to `slot.answer`."""

    def peer_gone(self, peer_id: str) -> None:
        """A connection of that peer has ended."""

    def refused(self, where: str, why: str) -> None:
        """A peer said what it should not."""

    def accepts(self, request: AnyRequest, connection: IncomingConnection) -> str:
        """Empty, or why a request that came on this connection is not even looked at."""


class Slot:
    """The place of one answer in the order of a connection."""

    __slots__ = ("answered", "body", "connection", "data", "early", "early_end")

    def __init__(self, connection: IncomingConnection) -> None:
        self.connection = connection
        self.data = b""
        self.answered = False
        self.body: BodySink | None = None
        # What came together with the announcement, before anyone said where it goes.
        self.early: list[bytes] = []
        self.early_end = False

    def answer(self, response: AnyResponse | None, error: str = "") -> None:
        """Give the answer; it leaves when all before it have left."""
        if not self.answered:
            self.answered = True
            self.data = encode_response(response, error)
            self.connection.flush()

    def accept_body(self, sink: BodySink) -> None:
        """Let the announced snapshot come in."""
        self.body = sink
        for data in self.early:
            sink.chunk(data)
        self.early.clear()
        if self.early_end:
            sink.end()
        self.connection.resume()


class IncomingConnection(asyncio.Protocol):
    """See the module."""

    def __init__(
        self, handler: Handler, peer: Peer | None = None, held: Held | None = None
    ) -> None:
        """`held` is common to the connections of others than members."""
        self._handler = handler
        self._all_held = held
        self._held = 0  # of it by this connection
        self._deadline: asyncio.TimerHandle | None = None  # of the request that has begun
        self._unread: asyncio.TimerHandle | None = None  # for the peer to read its answers
        self._waits_for_disk = False
        self.peer = peer
        """The server that has proven itself at the other end, or None."""
        self.host = ""
        """From where the connection comes."""
        self.accepted: tuple[object, ...] = ()
        """Notes of the handler: on what it has accepted the newest request."""
        self._reader = RequestReader(REQUEST_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._slots: deque[Slot] = deque()
        self._installing: Slot | None = None
        self._peer_id = ""
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to listen."""
        self._transport = cast("asyncio.Transport", transport)
        where = self._transport.get_extra_info("peername")
        self.host = str(where[0]) if where else ""

    def data_received(self, data: bytes) -> None:
        """Requests, and bodies of snapshots."""
        try:
            events = self._reader.feed(data)
            self._note_unfinished(finished=bool(events))
            for event in events:
                if isinstance(event, SnapshotChunk):
                    self._chunk(event.data)
                elif isinstance(event, SnapshotEnd):
                    self._end_of_body()
                elif not self._request(event):
                    return
        except BadFrame as error:
            self._refuse(str(error))

    def _note_unfinished(self, *, finished: bool) -> None:
        """Raises BadFrame when all strangers together hold too much."""
        unfinished = self._reader.unfinished
        if self._deadline is not None and (finished or not unfinished):
            self._deadline.cancel()
            self._deadline = None
        if unfinished and self._deadline is None:
            loop = asyncio.get_running_loop()
            why = f"a request without an end for {REQUEST_TIMEOUT_S:g} s"
            self._deadline = loop.call_later(REQUEST_TIMEOUT_S, self._refuse, why)
        if self._all_held is not None:
            self._all_held.bytes += unfinished - self._held
            self._held = unfinished
            if self._all_held.bytes > UNPROVEN_BYTES_MAX:
                raise BadFrame("too many unfinished requests of peers that are no members")

    def _request(self, request: AnyRequest) -> bool:
        why = self._handler.accepts(request, self)
        install = request if isinstance(request, InstallSnapshotRequest) else None
        if install is not None and install.size > SNAPSHOT_BYTES_MAX:
            why = why or f"it announced a snapshot of {install.size} bytes"
        if why or len(self._slots) >= _UNANSWERED_MAX:
            self._refuse(why or "too many unanswered requests")
            return False
        slot = Slot(self)
        self._slots.append(slot)
        self._peer_id = request.sender_id or self._peer_id
        if install is not None:
            self._installing = slot
            self.pause()
        if not _version_ok(request):
            slot.answer(None, _WRONG_VERSION)
        elif install is not None and install.snapshot_version > 1:
            slot.answer(None, f"unsupported snapshot version {install.snapshot_version}")
        else:
            self._handler.request_received(slot, request)
        return self._transport is not None

    def _chunk(self, data: bytes) -> None:
        slot = self._installing
        if slot is None:
            return
        if slot.body is not None:
            slot.body.chunk(data)
        elif not slot.answered:
            slot.early.append(data)

    def _end_of_body(self) -> None:
        slot, self._installing = self._installing, None
        if slot is not None and slot.body is not None:
            slot.body.end()
        elif slot is not None:
            slot.early_end = True
        self.flush()

    def flush(self) -> None:
        """Send the answers that stand at the head of the order."""
        slots = self._slots
        out = []
        while slots and slots[0].answered:
            if slots[0] is self._installing:
                self.resume()  # refused: its body is read and thrown away, then it is answered
                break
            out.append(slots.popleft().data)
        if out and self._transport is not None:
            self._transport.write(b"".join(out))

    def pause(self) -> None:
        """Stop reading: the body of a snapshot comes faster than the disk."""
        self._waits_for_disk = True
        self._pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._waits_for_disk = False
        self._resume_reading()

    def pause_writing(self) -> None:
        """The peer does not read its answers: take no more of its requests, and not for ever."""
        if self._unread is None:
            loop = asyncio.get_running_loop()
            why = f"it read no answer for {REQUEST_TIMEOUT_S:g} s"
            self._unread = loop.call_later(REQUEST_TIMEOUT_S, self._refuse, why)
        self._pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self._resume_reading()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        wanted = not self._waits_for_disk and self._unread is None
        if wanted and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, why: str) -> None:
        if self._transport is not None:
            where = self._transport.get_extra_info("peername")
            self._handler.refused(f"{where[0]}:{where[1]}" if where else "a peer", why)
            self._transport.abort()
            self._transport = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who may care."""
        del exc
        self._ended = True
        self._transport = None
        if self._all_held is not None:
            self._all_held.bytes -= self._held
            self._held = 0
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        slot, self._installing = self._installing, None
        if slot is not None and slot.body is not None:
            slot.body.broken()
        if self._peer_id:
            self._handler.peer_gone(self._peer_id)

    @property
    def closed(self) -> bool:
        """True once nothing more can come or go."""
        return self._ended

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()


def _version_ok(request: AnyRequest) -> bool:
    """Section 4: versions from one below ours to ours; heartbeats are not checked."""
    if isinstance(request, AppendEntriesRequest) and request.is_heartbeat:
        return True
    return PROTOCOL_VERSION - 1 <= request.protocol_version <= PROTOCOL_VERSION
