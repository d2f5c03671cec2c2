"""The virtual time of a world as the clocks of what runs beside a replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.testing.sim.machines.hosts import Timers
from quorate.testing.sim.world import World


class AllTimers:
    """The timers of all that runs in a process: the machine stands still for all of them."""

    def __init__(self, *parts: Timers) -> None:
        self._parts = parts

    def jumped(self) -> None:
        """The clock of the host was set."""
        for part in self._parts:
            part.jumped()

    def fell_behind(self, seconds: float) -> None:
        """The host's clock has run on without them."""
        for part in self._parts:
            part.fell_behind(seconds)


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
