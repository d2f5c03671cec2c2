"""The clock of an asyncio event loop, and the time that goes on while a machine is suspended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

_RUNS_ON: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

machine_time: Final[Callable[[], float]] = partial(time.clock_gettime, _RUNS_ON)
"""Seconds of a clock that never goes back and does not stop while the machine is suspended.

Linux: CLOCK_BOOTTIME (the loop's CLOCK_MONOTONIC stands still meanwhile). Elsewhere: what is there,
which on macOS runs on too. It is asked afresh at each call: a lease may end between two of them.
Costs one system call in the vDSO, as `loop.time` does.
"""


class LoopClock:
    """A `quorate.runtime.driver.Clock` on an event loop; `now` says what time it is.

    Delays are counted by the loop. So a call that is planned is late by as long as `now` has run on
    without the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.now = now
        self._loop = loop

    def call_later(
        self, delay_s: float, action: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call `action` after `delay_s` seconds."""
        return self._loop.call_later(delay_s, action, *args)

    def call_soon(self, action: Callable[..., object], *args: Any) -> None:
        """Call `action` after this turn."""
        self._loop.call_soon(action, *args)
