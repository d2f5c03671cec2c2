"""Work in a thread leaves the event loop its turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from server_processes import until

from quorate.net.threads import WORK_S, Turns


class HandLoop:
    """A loop whose turns a test makes."""

    def __init__(self, *, closed: bool = False) -> None:
        self.asked: list[Callable[[], object]] = []
        self.closed = closed

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.asked.append(callback)

    def has_asked(self, times: int) -> bool:
        return len(self.asked) == times


class Work:
    """Steps of which each one takes so long; they say what they were given."""

    def __init__(self, loop: HandLoop, step_s: float, *, patience_s: float = 60.0) -> None:
        self.done: list[int] = []
        self.now = 0.0
        self.turns = Turns(loop, clock=lambda: self.now, patience_s=patience_s)
        self._step_s = step_s

    def run(self, steps: int) -> None:
        step = self.turns.between(self._step)
        assert [step(number) for number in range(steps)] == list(range(steps))

    def _step(self, number: int) -> int:
        self.now += self._step_s
        self.done.append(number)
        return number

    @contextmanager
    def in_a_thread(self, steps: int) -> Iterator[threading.Thread]:
        thread = threading.Thread(target=self.run, args=(steps,))
        thread.start()
        try:
            yield thread
        finally:
            self.turns.end()
            thread.join()


def test_work_waits_until_the_loop_has_made_a_turn() -> None:
    loop = HandLoop()
    work = Work(loop, WORK_S / 2)
    with work.in_a_thread(5) as thread:
        for turn in (1, 2):
            until(partial(loop.has_asked, turn), "a turn to be asked for")
            assert work.done == list(range(2 * turn))
            loop.asked[-1]()
        thread.join(60.0)
        assert work.done == list(range(5))


def test_short_work_asks_for_no_turn() -> None:
    loop = HandLoop()
    Work(loop, WORK_S / 100).run(99)
    assert not loop.asked


def test_a_loop_that_is_closed_or_makes_no_turn_is_not_waited_for() -> None:
    for loop in (HandLoop(closed=True), HandLoop()):
        work = Work(loop, WORK_S, patience_s=0.0)
        work.run(4)
        assert work.done == list(range(4))


def test_at_the_end_nothing_waits() -> None:
    """A loop that waits for the thread itself says so first."""
    loop = HandLoop()
    work = Work(loop, WORK_S)
    with work.in_a_thread(9) as thread:
        until(lambda: loop.asked, "a turn to be asked for")
        work.turns.end()
        thread.join(60.0)
        assert work.done == list(range(9))
        assert len(loop.asked) == 1
