"""An asyncio event loop of one simulated process, on virtual time.

Coroutines of production run on it as they are. Its time is that of the host's clock; what waits
goes on when the process does, and never when the process has ended.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from typing import Any, cast

from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.surroundings import SimClock
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.violations import ViolationError


class Planned:
    """A call that is planned, or was cancelled."""

    __slots__ = ("_action", "_args", "_cancelled", "_context")

    def __init__(
        self, action: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self._action = action
        self._args = args
        self._context = context or copy_context()
        self._cancelled = False

    def cancel(self) -> None:
        """It is not made any more."""
        self._cancelled = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def make(self) -> None:
        """Make it."""
        if not self._cancelled:
            self._context.run(self._action, *self._args)


class ProcessLoop:
    """See the module. It has what tasks, futures and sleeping need of a loop, and no more."""

    def __init__(self, world: Stage, host: Host, clock: SimClock) -> None:
        self._world = world
        self._host = host
        self._clock = clock
        self._incarnation = host.incarnation
        self._ready: deque[Planned] = deque()
        self._running = False
        self._planned = False
        self._failure: BaseException | None = None
        self._me = cast("asyncio.AbstractEventLoop", self)
        self.tasks: set[asyncio.Task[Any]] = set()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._host.node is not None and self._host.incarnation == self._incarnation

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine; an error that it does not handle is a violation."""
        task = self.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def close(self) -> None:
        """Its life has ended: end what waits here as long as all that it uses is whole.

        The collector would do it too, in any order: then what a coroutine does at its end, such as
        to give up a restore, finds a state that is half gone.
        """
        for task in list(self.tasks):
            with suppress(Exception):
                cast("Coroutine[Any, Any, Any]", task.get_coro()).close()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            self._failure = task.exception() or self._failure

    def do(self, action: Callable[[], object]) -> None:
        """Do this now, as a part of the process that runs on the loop, and what follows from it."""
        self.call_soon(action)
        self._run()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What runs in the block finds this loop running."""
        before = _get_running_loop()
        _set_running_loop(self._me)
        try:
            yield
        finally:
            _set_running_loop(before)

    def _run(self) -> None:
        self._planned = False
        if self._running:
            return
        self._running = True
        try:
            with self.entered():
                while self._ready and self.alive:
                    self._ready.popleft().make()
        finally:
            self._running = False
        if self._failure is not None and self.alive:
            failure, self._failure = self._failure, None
            if isinstance(failure, ViolationError):
                raise failure
            raise ViolationError(f"{self._host.name} failed: {failure!r}") from failure

    # -- what asyncio asks of a loop ---------------------------------------------------------

    def time(self) -> float:
        """Seconds of the host's clock."""
        return self._clock.now()

    def call_soon(
        self, action: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Planned:
        """Call after what runs now."""
        planned = Planned(action, args, context)
        self._ready.append(planned)
        if not self._running and not self._planned:
            self._planned = True
            self._world.for_host(self._host, 0.0, self._run)
        return planned

    def call_later(
        self,
        delay_s: float,
        action: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Planned:
        """Call after so long by the host's clock."""
        planned = Planned(action, args, context)
        self._clock.call_later(delay_s, self._due, planned)
        return planned

    def _due(self, planned: Planned) -> None:
        self._ready.append(planned)
        self._run()

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._me)

    def create_task(
        self, work: Coroutine[Any, Any, Any], *, name: str | None = None
    ) -> asyncio.Task[Any]:
        """A task on this loop."""
        return asyncio.Task(work, loop=self._me, name=name)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Something went wrong where nobody waits."""
        error = context.get("exception")
        if error is not None and self._failure is None:
            self._failure = error

    def get_debug(self) -> bool:
        """Never."""
        return False
