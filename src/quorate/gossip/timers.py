"""Timers: a heap of actions. Equal times keep the order in which they were set."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final

RUN_MAX: Final = 32
"""Most actions of one `run`: many members may fail at the same moment, and each takes its time."""


class Timer:
    """One action to come; `cancel` forgets it."""

    __slots__ = ("action", "due", "order")

    def __init__(self, due: float, order: int, action: Callable[[], None]) -> None:
        self.due = due
        self.order = order
        self.action: Callable[[], None] | None = action

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> None:
        """Never run it. It stays in the heap until its time, so timers should not be set far."""
        self.action = None


class Timers:
    """See the module."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._set = 0

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        """Run `action` at the first `run` with a time of `due` or later."""
        self._set += 1
        timer = Timer(due, self._set, action)
        heapq.heappush(self._heap, timer)
        return timer

    def deadline(self) -> float:
        """When the next is due; infinite if there is none."""
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        return heap[0].due if heap else math.inf

    def run(self, now: float) -> None:
        """Run what is due, once each; what an action sets for `now` is run as well.

        After RUN_MAX the rest has to wait for the next `run`; `deadline` shows that it is due.
        """
        heap = self._heap
        for _ in range(RUN_MAX):
            if not heap or heap[0].due > now:
                return
            action = heapq.heappop(heap).action
            if action is not None:
                action()

    def shift(self, by: float) -> None:
        """Set everything `by` seconds later: the order stays as it is."""
        for timer in self._heap:
            timer.due += by

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()
