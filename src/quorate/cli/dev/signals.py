"""Waiting that a signal ends at once.

The handler only notes the wish; a pipe that Python writes to on every signal wakes the waiter.
No lock is taken in the handler, so it cannot hang.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGHUP are counted in `count` instead of acting."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before: dict[int, Any] = {n: signal.signal(n, self._note) for n in STOP}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - its form
        self.count += 1

    def wait(self, timeout_s: float) -> bool:
        """True as soon as there was a signal, False after `timeout_s` seconds without one."""
        if not self.count:
            ready, _, _ = select.select([self._read], [], [], timeout_s)
            if ready:
                os.read(self._read, 64)
        return self.count > 0
