"""One queue of events, one order of effects, one deadline: how every pure core is driven.

A core decides (`step` returns effects) and never acts. The driver gives it one event after the
other, with the time, and carries out the effects of one event before it takes the next event. An
event that is caused meanwhile waits in the queue, so the core sees one order.

Invariants:
- the effects of a step are begun in their order, and all of them: the core believes that all of
  it is done, so the first one that cannot be carried out ends the driver;
- an event that the core refuses changes nothing, and does not hold up the events behind it;
- a deadline of the core is never missed: after every drain of the queue a timer is set for it. A
  timer that counts a delay is late where the clock has run on without it, as in a suspended
  machine: then the first event that comes ends the wait.

Time comes from a `Clock`: the event loop's in production (`quorate.runtime.clock`), virtual in the
simulator. The driver itself knows no loop, no thread and no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

GRAIN_S: Final = 0.001
"""The shortest wait of the deadline timer, the finest that uvloop's clock can tell.

A shorter one would fire at once and be set again, over and over, until the deadline is there.
"""


LATE_S: Final = 0.1
"""How late the deadline timer may be before it is not waited for any longer."""


class Timer(Protocol):
    """A call that is planned."""

    def cancel(self) -> None:
        """It is not made any more."""


class Clock(Protocol):
    """Time in seconds of a clock that never goes back, and calls at a time."""

    def now(self) -> float:
        """The time that the clock shows."""

    def call_later(self, delay_s: float, action: Callable[..., object], *args: Any) -> Timer:
        """Call `action` after `delay_s` seconds."""

    def call_soon(self, action: Callable[..., object], *args: Any) -> object:
        """Call `action` after this turn; calls keep their order."""


class Core(Protocol):
    """A pure core."""

    def step(self, event: Any, now: float) -> Sequence[Any]:
        """Take one event at the time `now`; what is to be done, in order."""

    def deadline(self) -> float:
        """When the tick is due at the latest; infinite if nothing is due."""


def _nothing(*_: Any) -> None:
    """For what its owner does not want to hear."""


class Driver:
    """See the module.

    `perform` maps each class of effect to what carries it out. `tick()` makes the event that is
    given when the deadline is there; `wake` is called before. `refusals` are the errors by which
    the core refuses an event. `settle` is called at the end of every drain, last of all.
    """

    def __init__(
        self,
        core: Core,
        clock: Clock,
        perform: Mapping[type, Callable[[Any], object]],
        *,
        tick: Callable[[], Any],
        on_failure: Callable[[BaseException], object],
        refusals: tuple[type[Exception], ...] = (),
        on_refusal: Callable[[Any, Exception], object] = _nothing,
        settle: Callable[[], object] = _nothing,
        wake: Callable[[], object] = _nothing,
    ) -> None:
        self.core = core
        self.clock = clock
        self.ended = False
        """True after `end` or a failure: no event is taken any more, and no timer is set."""
        self._perform = perform
        self._tick = tick
        self._on_failure = on_failure
        self._refusals = refusals
        self._on_refusal = on_refusal
        self._settle = settle
        self._wake = wake
        self._queue: deque[Any] = deque()
        self._draining = False
        self._timer: Timer | None = None
        self._timer_at = 0.0  # when it fires; uvloop's handles cannot always say
        self._now = 0.0  # the time of the newest step
        self._catching_up = False

    def step(self, event: Any, released: Sequence[Any] = ()) -> None:
        """Give an event to the core and do what it says, and all that follows from it.

        `released` are effects that an earlier step held back until now: they are carried out
        first. Raises the core's error if it refuses this event; the refusal of an event that
        waited in the queue goes to `on_refusal`. No effect after `end`.
        """
        if self.ended:
            return
        if self._draining:
            assert not released, "effects are released by events of the outside"
            self._queue.append(event)
            return
        self._draining = True
        refusal: Exception | None = None
        try:
            for effect in released:
                self._perform[type(effect)](effect)
            if not self.ended:
                refusal = self._drain(event)
        except Exception as error:  # noqa: BLE001  whatever it was: an effect is not done
            self.fail(error)
        finally:
            self._draining = False
        if not self.ended:
            deadline = self.core.deadline()
            # Nearly always the timer that is set will do: it looks again when it fires.
            if self._timer is None or deadline < self._timer_at or self._now > self._timer_at:
                self._arm(deadline)
            self._settle()
        if refusal is not None:
            raise refusal

    def _drain(self, own: Any) -> Exception | None:
        """Take all that waits; the refusal of the event `own`, if it is refused."""
        queue, perform = self._queue, self._perform
        refusal: Exception | None = None
        event = own
        while True:
            self._now = now = self.clock.now()
            try:
                effects = self.core.step(event, now)
            except self._refusals as error:
                if event is own:
                    refusal = error
                else:
                    self._on_refusal(event, error)
            else:
                for effect in effects:
                    perform[type(effect)](effect)
            if not queue:
                return refusal
            event = queue.popleft()

    def step_soon(self, event: Any) -> None:
        """Give the event in a turn of its own, so that this one does not get long."""
        self.clock.call_soon(self.step, event)

    def fail(self, error: BaseException) -> None:
        """Something could not be carried out: take no event any more, and tell the owner."""
        if not self.ended:
            self.end()
            self._on_failure(error)

    def end(self) -> None:
        """Take no event any more; what waits in the queue is dropped."""
        self.ended = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the deadline -----------------------------------------------------------------------------

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            if self._timer_at <= deadline:
                if self._now - self._timer_at > LATE_S:
                    self._catch_up_soon()
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            now = self.clock.now()
            delay = max(deadline - now, GRAIN_S)
            self._timer_at = now + delay
            self._timer = self.clock.call_later(delay, self._fired)

    def _catch_up_soon(self) -> None:
        if not self._catching_up:
            self._catching_up = True
            # In a turn of its own: the event that comes first may be what the tick would miss.
            self.clock.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._catching_up = False
        if self._timer is not None:
            self._timer.cancel()
            self._fired()

    def _fired(self) -> None:
        self._timer = None
        if self.ended:
            return
        deadline = self.core.deadline()
        if self.clock.now() < deadline:
            self._arm(deadline)
            return
        self._wake()
        self.step(self._tick())
