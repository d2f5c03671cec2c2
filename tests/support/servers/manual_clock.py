"""A clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Planned:
    """A call at a time."""

    def __init__(self, at: float, action: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.at = at
        self._action, self._args = action, args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        if not self.cancelled:
            self._action(*self._args)


class ManualClock:
    """`advance` moves it, and makes the calls that are due, in order."""

    def __init__(self) -> None:
        self.time = 0.0
        self.planned: list[Planned] = []

    def now(self) -> float:
        return self.time

    def call_later(self, delay_s: float, action: Callable[..., object], *args: Any) -> Planned:
        call = Planned(self.time + delay_s, action, args)
        self.planned.append(call)
        return call

    def call_soon(self, action: Callable[..., object], *args: Any) -> Planned:
        return self.call_later(0.0, action, *args)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the time goes on, and what counts the delays of calls does not."""
        self.time += seconds
        for call in self.planned:
            call.at += seconds

    def waiting(self) -> list[float]:
        """When calls are due that were not cancelled."""
        return sorted(call.at for call in self.planned if not call.cancelled)

    def advance(self, seconds: float = 0.0) -> None:
        end = self.time + seconds
        while True:
            due = [call for call in self.planned if call.at <= end]
            if not due:
                break
            first = min(due, key=lambda call: call.at)
            self.planned.remove(first)
            self.time = max(self.time, first.at)
            first.run()
        self.time = end
