"""The driver of pure cores: order, deadline, refusals, failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from manual_clock import ManualClock

from quorate.runtime.driver import GRAIN_S, Driver

NEVER = float("inf")


class Do(NamedTuple):
    """An effect: call this."""

    action: Callable[[], object]


class Core:
    """Answers events by what `answers` says; every event is noted."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.answers: dict[Any, Sequence[Any]] = {}
        self.due = NEVER

    def step(self, event: Any, now: float) -> Sequence[Any]:
        del now
        self.seen.append(event)
        if event == "bad":
            raise ValueError("that is no event")
        if event == "broken":
            raise AssertionError("an invariant does not hold")
        return self.answers.get(event, ())

    def deadline(self) -> float:
        return self.due


class Bench:
    """A driver with a core and a clock, and what was told to the owner."""

    def __init__(self) -> None:
        self.core, self.clock = Core(), ManualClock()
        self.told: list[Any] = []
        self.driver = Driver(
            self.core,
            self.clock,
            {Do: lambda effect: effect.action()},
            tick=lambda: "tick",
            on_failure=lambda error: self.told.append(("failed", str(error))),
            refusals=(ValueError,),
            on_refusal=lambda event, error: self.told.append((event, str(error))),
            settle=lambda: self.told.append("settled"),
            wake=lambda: self.told.append("woken"),
        )


def test_an_event_that_an_effect_causes_comes_after_all_effects() -> None:
    bench = Bench()
    step, told = bench.driver.step, bench.told
    bench.core.answers["a"] = (Do(lambda: step("b")), Do(lambda: told.append("a is done")))
    bench.core.answers["b"] = (Do(lambda: told.append("b is done")),)
    step("a")
    assert bench.core.seen == ["a", "b"]
    assert told == ["a is done", "b is done", "settled"]


def test_what_is_released_comes_before_the_event() -> None:
    bench = Bench()
    told = bench.told
    bench.core.answers["written"] = (Do(lambda: told.append("committed")),)
    early = [Do(lambda: told.append("answered")), Do(lambda: bench.driver.step("answered"))]
    bench.driver.step("written", early)
    assert bench.core.seen == ["written", "answered"]
    assert told == ["answered", "committed", "settled"]


def test_a_refused_event_is_its_callers_and_does_not_hold_up_the_others() -> None:
    bench = Bench()
    bench.core.answers["a"] = (Do(lambda: bench.driver.step("bad")), Do(lambda: None))
    bench.driver.step("a")
    assert bench.told == [("bad", "that is no event"), "settled"]
    with pytest.raises(ValueError, match="no event"):
        bench.driver.step("bad")
    assert bench.told[-1] == "settled", "the drain came to its end"
    bench.driver.step("c")
    assert bench.core.seen == ["a", "bad", "bad", "c"]


@pytest.mark.parametrize("where", ["effect", "core", "released", "unknown"])
def test_what_cannot_be_carried_out_ends_it(where: str) -> None:
    bench = Bench()
    bench.core.due = 5.0

    def fail() -> None:
        raise OSError("no such thing")

    bench.driver.step("first")
    bench.core.answers["a"] = (Do(fail), Do(lambda: bench.told.append("more")))
    bench.core.answers["x"] = (object(),)
    event = {"core": "broken", "unknown": "x"}.get(where, "a")
    bench.driver.step(event, [Do(fail)] if where == "released" else ())
    assert bench.driver.ended
    assert len(bench.told) == 2, "it settled after the first event, then it failed"
    assert bench.told[1][0] == "failed"
    assert bench.clock.waiting() == [], "no timer goes on"
    bench.driver.step("later")
    bench.driver.fail(OSError("again"))
    assert "later" not in bench.core.seen
    assert len(bench.told) == 2, "the owner is told once"


def test_the_tick_comes_at_the_deadline_and_after_the_wake() -> None:
    bench = Bench()
    bench.core.due = 2.0
    bench.driver.step("a")
    assert bench.clock.waiting() == [2.0]
    bench.core.due = 3.0  # later: the timer that is set looks again
    bench.driver.step("b")
    assert bench.clock.waiting() == [2.0]
    bench.clock.advance(2.5)
    assert bench.core.seen == ["a", "b"]
    bench.told.clear()
    bench.core.answers["tick"] = (Do(lambda: setattr(bench.core, "due", NEVER)),)
    bench.clock.advance(1.0)
    assert bench.core.seen == ["a", "b", "tick"]
    assert bench.told == ["woken", "settled"]
    assert bench.clock.waiting() == []


def test_a_timer_that_is_late_is_not_waited_for_once_an_event_comes() -> None:
    bench = Bench()
    bench.core.due = 2.0
    bench.driver.step("a")
    bench.clock.suspend(60.0)
    bench.core.answers["tick"] = (Do(lambda: setattr(bench.core, "due", NEVER)),)
    bench.driver.step("b")
    bench.driver.step("c")
    bench.clock.advance()
    assert bench.core.seen == ["a", "b", "c", "tick"]
    assert bench.clock.waiting() == []


def test_a_timer_that_is_late_fires_where_no_event_comes() -> None:
    bench = Bench()
    bench.core.due = 2.0
    bench.driver.step("a")
    bench.clock.suspend(60.0)
    bench.core.answers["tick"] = (Do(lambda: setattr(bench.core, "due", NEVER)),)
    bench.clock.advance(2.0)
    assert bench.core.seen == ["a", "tick"]


def test_an_earlier_deadline_moves_the_timer() -> None:
    bench = Bench()
    bench.core.due = 9.0
    bench.driver.step("a")
    bench.core.due = 1.0
    bench.driver.step("b")
    assert bench.clock.waiting() == [1.0]


def test_a_deadline_that_has_passed_is_not_spun_on() -> None:
    bench = Bench()
    bench.clock.advance(10.0)
    bench.core.due = 4.0
    bench.driver.step("a")
    assert bench.clock.waiting() == [10.0 + GRAIN_S]


def test_nothing_happens_after_the_end() -> None:
    bench = Bench()
    bench.core.due = 1.0
    bench.core.answers["a"] = (
        Do(lambda: bench.driver.step("queued")),
        Do(bench.driver.end),
    )
    bench.driver.step_soon("soon")
    bench.driver.step("a")
    bench.clock.advance(5.0)
    assert bench.core.seen == ["a"]
    assert bench.told == []
