"""The clock of an asyncio event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class LoopClock:
    """See the module; a `quorate.runtime.driver.Clock`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now: Callable[[], float] = loop.time
        self._loop = loop

    def call_later(
        self, delay_s: float, action: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call `action` after `delay_s` seconds."""
        return self._loop.call_later(delay_s, action, *args)

    def call_soon(self, action: Callable[..., object], *args: Any) -> None:
        """Call `action` after this turn."""
        self._loop.call_soon(action, *args)
