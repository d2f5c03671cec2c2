"""Whose turn it is on the loop: what many clients ask at once takes no more of it than its share.

The loop looks at all its connections in turns. In each of them clients are served until that has
taken TURN_S, one of them for no longer than WORK_S; then the rest waits in a queue, and is served
in the turns that follow. So the other work of the server, above all that between servers, has its
share of every turn, however much clients have sent ahead. A lone request waits only in a flood.

Cost: two looks at the clock and some comparisons for a request that need not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

WORK_S: Final = 0.003
"""Of work for one client at a time. One request may go over it."""

TURN_S: Final = 0.01
"""Of work for all clients of one listener in one turn of the loop."""

_WORKS_MAX: Final = 2
"""Of the queue in one turn: a task that is woken works behind it, where nothing counts its time."""

MARK_S: Final = 0.001
"""What is spent up to this is not set back with each turn: to be told of each would cost too much.
"""


class Turns:
    """See the module. One for the connections of a listener. Times are seconds.

    A callback that serves a client sets `began`, and at its end adds its time to `spent`; over
    MARK_S it calls `mark`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.spent = 0.0
        self.began = 0.0
        self._loop = loop
        self._marked = False
        self._going_on = False
        self._waiting: deque[Callable[[], object]] = deque()

    def over(self) -> bool:
        """True if the callback that runs has to end, and the rest of its work has to wait."""
        took = monotonic() - self.began
        return took > WORK_S or self.spent + took > TURN_S

    def spend(self) -> None:
        """The callback that has begun ends."""
        self.spent += monotonic() - self.began
        if self.spent > MARK_S:
            self.mark()

    def mark(self) -> None:
        """Set back what is spent when this turn of the loop is over."""
        if not self._marked:
            self._marked = True
            self._loop.call_soon(self._turn_over)

    def put(self, work: Callable[[], object]) -> None:
        """Do this when the works before it are done."""
        self._waiting.append(work)
        self._go_on()

    async def come(self) -> None:
        """Return when there is time for the caller."""
        if self._waiting or self.spent > TURN_S:
            mine: asyncio.Future[None] = self._loop.create_future()
            self.put(partial(_wake, mine))
            await mine
        self.began = monotonic()

    def _turn_over(self) -> None:
        self._marked = False
        self.spent = 0.0

    def _go_on(self) -> None:
        if not self._going_on:
            self._going_on = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Works that wait, one at least, and more for as long as one client may take."""
        self._going_on = False
        until = monotonic() + WORK_S
        for _ in range(min(len(self._waiting), _WORKS_MAX)):
            self._waiting.popleft()()
            if monotonic() > until:
                break
        if self._waiting:
            self._go_on()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
