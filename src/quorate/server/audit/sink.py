"""The sink of audit events: a file with a line of JSON for each (docs/audit.md#the-file-of-a-sink).

A thread of its own writes, so that a slow disk holds up no other request. With delivery
`best-effort` an event waits in a bounded queue, and is counted as dropped if that is full or the
file cannot be written. With `enforced` a request is carried out only after its first event was
written. What must never be refused (recovery, removal, compaction) is carried out all the same.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final, Protocol

import msgspec

from quorate.errors import AuditUnwritable
from quorate.metrics import Metrics

log = logging.getLogger("quorate.server")

RECEIVED: Final = "OperationReceived"
COMPLETE: Final = "OperationComplete"
ENTERED: Final = "RecordEntered"

LINES_MAX: Final = 8192
"""Lines that wait to be written: some megabytes."""

_TELL_S: Final = 60.0
_TYPE: Final = "audit"
_VERSION: Final = 1

_encode: Final = msgspec.json.Encoder().encode


class LineFile(Protocol):
    """A file that is written by lines, and rotated (`quorate.agent.log_file`)."""

    def write(self, text: str) -> None:
        """Append these lines. Raises OSError."""

    def close(self) -> None:
        """Give it back."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Events that are left out: all three must fit. Endpoints are patterns with `*`."""

    endpoints: tuple[str, ...] = ("*",)
    stages: tuple[str, ...] = ("*",)
    operations: tuple[str, ...] = ("*",)

    def fits(self, endpoint: str, stage: str, operation: str) -> bool:
        """Whether it leaves such an event out."""
        return (
            _in(stage, self.stages)
            and _in(operation, self.operations)
            and any(fnmatchcase(endpoint, each) for each in self.endpoints)
        )


def _in(value: str, wanted: tuple[str, ...]) -> bool:
    return "*" in wanted or value in wanted


class SinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How requests and records are written. `opened` gives the file, and raises OSError.

    `tail` gives the last bytes that the file has, by which it is known what it holds.
    """

    name: str
    opened: Callable[[Callable[[str], None]], LineFile]
    tail: Callable[[], bytes]
    enforced: bool = False
    filters: tuple[Filter, ...] = ()


class Auth(msgspec.Struct, frozen=True, omit_defaults=True):
    """The token of a caller, without its secret."""

    accessor_id: str = ""
    name: str = ""


class RequestMeta(msgspec.Struct, frozen=True):
    """Where a request came from."""

    remote_address: str = ""
    user_agent: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `id` is that of both of its events; the endpoint is the path without the query."""

    id: str
    operation: str
    endpoint: str
    namespace: dict[str, str]
    request_meta: RequestMeta
    node_meta: dict[str, str]


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The response."""

    status_code: int
    error: str = ""


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened: a stage of a request, or a record that was entered in the journal."""

    id: str
    stage: str
    type: str
    timestamp: str
    version: int
    auth: Auth | None = None
    request: Asked | None = None
    response: Answered | None = None
    record: msgspec.Struct | None = None
    before: str = ""
    head: str = ""


class Sink:
    """See the module. Made on the loop; `close` writes what waits."""

    def __init__(
        self,
        options: SinkOptions,
        metrics: Metrics,
        make_id: Callable[[], str],
        unix: Callable[[], float],
    ) -> None:
        """`make_id` gives IDs of events, `unix` the time in seconds."""
        self.enforced: Final = options.enforced
        self._filters = options.filters
        self._make_id = make_id
        self._unix = unix
        self._written = metrics.counter("quorate.audit.sink_written")
        self._dropped = metrics.counter("quorate.audit.sink_dropped")
        self._loop = asyncio.get_running_loop()
        self._opened = options.opened
        self._file: LineFile | None = None
        self._name = options.name
        self._tail = options.tail
        self._lines: list[tuple[str, asyncio.Future[None] | None]] = []
        self._ready = threading.Condition()
        self._ended = False
        self._told_at = -_TELL_S
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    # -- events ----------------------------------------------------------------------------------

    def wants(self, endpoint: str, operation: str) -> bool:
        """Whether some event of such a request is written."""
        return any(not self._left_out(endpoint, each, operation) for each in (RECEIVED, COMPLETE))

    def _left_out(self, endpoint: str, stage: str, operation: str) -> bool:
        return any(each.fits(endpoint, stage, operation) for each in self._filters)

    async def received(self, asked: Asked, auth: Auth) -> None:
        """Before a request is carried out. Raises AuditUnwritable where delivery is enforced."""
        await self._event(RECEIVED, asked, auth, None)

    async def completed(self, asked: Asked, auth: Auth, answered: Answered) -> None:
        """After it was carried out. Raises as `received`."""
        await self._event(COMPLETE, asked, auth, answered)

    async def _event(self, stage: str, asked: Asked, auth: Auth, answered: Answered | None) -> None:
        if self._left_out(asked.endpoint, stage, asked.operation):
            return
        payload = self._payload(stage, auth=auth, request=asked, response=answered)
        if not self.enforced:
            self._put(self._line(payload), None)
            return
        done: asyncio.Future[None] = self._loop.create_future()
        if not self._put(self._line(payload), done):
            raise AuditUnwritable(self._name, f"{LINES_MAX} events wait")
        await done

    async def entered(self, record: msgspec.Struct, before: bytes, head: bytes) -> None:
        """A record of the journal. Raises AuditUnwritable if it was not written."""
        payload = self._payload(ENTERED, record=record, before=before.hex(), head=head.hex())
        done: asyncio.Future[None] = self._loop.create_future()
        if not self._put(self._line(payload), done):
            raise AuditUnwritable(self._name, f"{LINES_MAX} events wait")
        await done

    def _payload(self, stage: str, **given: object) -> Payload:
        return Payload(
            id=self._make_id(),
            stage=stage,
            type=_TYPE,
            timestamp=self._now(),
            version=_VERSION,
            **given,  # type: ignore[arg-type]
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._unix(), UTC).isoformat().replace("+00:00", "Z")

    def _line(self, payload: Payload) -> str:
        value = {"created_at": payload.timestamp, "event_type": _TYPE, "payload": payload}
        return _encode(value).decode() + "\n"

    # -- the thread ------------------------------------------------------------------------------

    def _put(self, line: str, done: asyncio.Future[None] | None) -> bool:
        with self._ready:
            if len(self._lines) >= LINES_MAX or self._ended:
                self._dropped.count += 1
                return False
            self._lines.append((line, done))
            self._ready.notify()
            return True

    def _run(self) -> None:
        broken = False
        while True:
            with self._ready:
                while not self._lines and not self._ended:
                    self._ready.wait()
                taken, self._lines = self._lines, []
                if not taken:
                    break
            # A line that was cut off by a full disk must not be the beginning of the next one.
            text = "\n" * broken + "".join(line for line, _ in taken)
            failure: OSError | None = None
            try:
                if self._file is None:
                    self._file = self._opened(self._trouble)
                self._file.write(text)
            except OSError as error:
                failure = error
            broken = failure is not None
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._settle, taken, failure)
        if self._file is not None:
            self._file.close()

    def _settle(
        self, taken: list[tuple[str, asyncio.Future[None] | None]], failure: OSError | None
    ) -> None:
        if failure is None:
            self._written.count += len(taken)
        else:
            self._dropped.count += len(taken)
            self._trouble(f"{len(taken)} events were not written: {failure.strerror or failure}")
        for _, done in taken:
            if done is None or done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(AuditUnwritable(self._name, failure.strerror or str(failure)))

    def _trouble(self, text: str) -> None:
        now = self._unix()
        if abs(now - self._told_at) >= _TELL_S:
            self._told_at = now
            log.error("the audit sink %s: %s", self._name, text)

    def tail(self) -> bytes:
        """The last bytes of the file. Raises OSError."""
        return self._tail()

    def close(self) -> None:
        """Write what waits, and end; a disk that hangs is not waited for longer than a second."""
        with self._ready:
            self._ended = True
            self._ready.notify()
        self._thread.join(1.0)
