"""Seconds that processes took, without those in which the machine ran something else.

Bounds of time hold for servers that have the machine for themselves. Beside other work, a process
that could go on waits for a processor; the kernel counts this for each thread. A timer that is too
long is found all the same: who sleeps does not wait for a processor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


class Stopwatch:
    """Runs from its making on, for this process and those that `pids` gives."""

    def __init__(self, pids: Callable[[], Iterable[int]] = tuple) -> None:
        self._pids = pids
        self._first = self._read()
        self._last = dict(self._first)
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Time since the beginning, less `late_s`."""
        return max(0.0, time.monotonic() - self._began - self.late_s())

    def late_s(self) -> float:
        """What these processes waited for a processor; one that has ended, when last asked."""
        for pid, now in self._read().items():
            self._last[pid] = max(now, self._last.get(pid, 0.0))
        return sum(now - self._first.get(pid, 0.0) for pid, now in self._last.items())

    def _read(self) -> dict[int, float]:
        return {pid: waited_s(pid) for pid in (os.getpid(), *self._pids())}


def waited_s(pid: int) -> float:
    """How long the main thread of a process was ready to run and did not (proc(5), schedstat).

    0 where the kernel does not say.
    """
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0
