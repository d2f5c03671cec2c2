"""Signals that end a command, where it has something to put in order first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is within as an exception does, with 128 and their number."""

    def unwind(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {}
    with suppress(ValueError):  # only the main thread of a process hears signals
        for number in (signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
