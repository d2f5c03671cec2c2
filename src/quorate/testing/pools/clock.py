"""The virtual time of a world as the clock of a driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.testing.sim.world import World


class Planned:
    """A call that is planned, or was cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """It is not made any more."""
        self.cancelled = True


class WorldClock:
    """A `quorate.runtime.driver.Clock`; no call is made once `runs` says that the process ended."""

    def __init__(self, world: World, runs: Callable[[], bool]) -> None:
        self._world = world
        self._runs = runs

    def now(self) -> float:
        """Seconds of the world."""
        return self._world.now

    def call_later(self, delay_s: float, action: Callable[..., object], *args: Any) -> Planned:
        """Call `action` after `delay_s` seconds."""
        planned = Planned()

        def call() -> None:
            if not planned.cancelled and self._runs():
                action(*args)

        self._world.later(delay_s, call)
        return planned

    def call_soon(self, action: Callable[..., object], *args: Any) -> Planned:
        """Call `action` after this turn."""
        return self.call_later(0.0, action, *args)
