"""Where lines leave the process: a bounded queue, and a thread that writes.

A reader of our output that stops reading must not stop the server, so nobody but the thread of an
outlet waits for it. What the queue has no room for is dropped and counted; when the sink takes
lines again, a line says how many are missing. A sink that fails (no room on its disk, a pipe
without a reader) costs the lines, never the server.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

LINES_MAX: Final = 10_000
BYTES_MAX: Final = 4 << 20
_BATCH_BYTES: Final = 64 << 10


class Sink(Protocol):
    """Takes text that ends in a line end. Raises OSError."""

    def write(self, text: str) -> None:
        """Write all of it."""


Work: TypeAlias = Callable[[], None]


class Outlet:
    """See the module. `on_dropped` makes the line about lines that are missing."""

    def __init__(self, sink: Sink, name: str, on_dropped: Callable[[str], str]) -> None:
        self.dropped = 0  # lines, since the start
        self._sink = sink
        self.on_dropped = on_dropped
        self._told = 0
        self._reason = ""
        self._waiting: deque[str | Work] = deque()
        self._bytes = 0
        self._busy = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"quorate-{name}", daemon=True)
        self._thread.start()

    def put(self, text: str) -> None:
        """Have these lines written. Never waits, never raises."""
        with self._changed:
            if len(self._waiting) >= LINES_MAX or self._bytes + len(text) > BYTES_MAX:
                self._drop(text, "the queue of lines was full")
                return
            self._waiting.append(text)
            self._bytes += len(text)
            self._changed.notify_all()

    def do(self, work: Work) -> None:
        """Have the thread call `work` between two writes, in order. It must not raise."""
        with self._changed:
            self._waiting.append(work)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; False if it is not by then."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what is left and end the thread, unless the sink keeps it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _drop(self, text: str, reason: str) -> None:
        self.dropped += text.count("\n")
        self._reason = reason

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                self._busy = True
                item = self._waiting.popleft()
                if isinstance(item, str):
                    item = self._more(item)
            if isinstance(item, str):
                self._write(item)
            else:
                item()

    def _more(self, first: str) -> str:
        """What is waiting behind `first` and may share a write with it."""
        batch, size = [first], len(first)
        while self._waiting and size < _BATCH_BYTES:
            item = self._waiting[0]
            if not isinstance(item, str):
                break
            batch.append(item)
            size += len(item)
            self._waiting.popleft()
        self._bytes -= size
        return "".join(batch)

    def _write(self, text: str) -> None:
        missing = self.dropped - self._told
        if missing:
            about = self.on_dropped(f"{missing} lines are missing here: {self._reason}")
            text = about + text
        try:
            self._sink.write(text)
        except (OSError, ValueError) as error:
            with self._changed:
                lost = text.removeprefix(about) if missing else text
                self._drop(lost, str(error))
        else:
            self._told += missing


class Descriptor:
    """An open file descriptor as a sink; it may be a pipe that is full, or not blocking."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, text: str) -> None:
        """See Sink."""
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            try:
                data = data[os.write(self._number, data) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._number, select.POLLOUT)
                poll.poll()
