"""Listeners of the log besides the agent's own output: each with a level of its own.

A listener of level DEBUG makes the program log more; what the agent writes stays at its own level.
Each has a bounded queue: what a slow reader leaves there is dropped, and the next lines that it
gets say how many are missing. Records come from any thread; a tap is read on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import Final

LINES_MAX: Final = 512
BYTES_MAX: Final = 256 << 10
LINE_BYTES_MAX: Final = 16 << 10

_PROGRAM: Final = "quorate"


class Tap(logging.Handler):
    """One listener. Made on the loop that reads it."""

    def __init__(self, level: int, formatter: logging.Formatter) -> None:
        super().__init__(level)
        self.setFormatter(formatter)
        self._loop = asyncio.get_running_loop()
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._missing = 0
        self._lines_lock = threading.Lock()
        self._some = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, or count it as missing. Never waits, never raises."""
        line = self.format(record)[:LINE_BYTES_MAX] + "\n"
        with self._lines_lock:
            if len(self._lines) >= LINES_MAX or self._bytes + len(line) > BYTES_MAX:
                self._missing += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            first = len(self._lines) == 1
        if first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._some.set)

    async def read(self, timeout_s: float) -> str:
        """All lines that wait; empty if none has come by then."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        except TimeoutError:
            return ""
        with self._lines_lock:
            text, missing = "".join(self._lines), self._missing
            self._lines.clear()
            self._bytes = self._missing = 0
            self._some.clear()
        return text + self._told(missing) if missing else text

    def _told(self, missing: int) -> str:
        text = f"{missing} lines are missing here: they were read too slowly"
        record = logging.LogRecord(f"{_PROGRAM}.agent", logging.WARNING, "", 0, text, (), None)
        return self.format(record) + "\n"


class Taps:
    """All listeners of a process, and how much its own output logs."""

    def __init__(self) -> None:
        self._level = logging.INFO
        self._open: set[Tap] = set()

    def __len__(self) -> int:
        """How many listen."""
        return len(self._open)

    def set_level(self, level: int) -> None:
        """How much the program's own output logs from now on."""
        self._level = level
        self._apply()

    def is_own(self, record: logging.LogRecord) -> bool:
        """Whether the program's own output has this record; what libraries say, it has."""
        of_program = record.name.partition(".")[0] == _PROGRAM
        return record.levelno >= self._level or not of_program

    def open(self, tap: Tap) -> None:
        """Have it listen."""
        self._open.add(tap)
        logging.getLogger().addHandler(tap)
        self._apply()

    def close(self, tap: Tap) -> None:
        """Have it listen no more."""
        self._open.discard(tap)
        logging.getLogger().removeHandler(tap)
        self._apply()

    def _apply(self) -> None:
        lowest = min((self._level, *(tap.level for tap in self._open)))
        logging.getLogger(_PROGRAM).setLevel(lowest)


TAPS: Final = Taps()
"""Those of this process: as the log, there is one."""
