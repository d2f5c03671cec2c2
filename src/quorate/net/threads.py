"""Work that waits for the disk, in a thread that is its own; and how it leaves the loop its turns.

The loop's default threads are shared with the resolver: a few names that resolve slowly fill them,
and what waits for the disk would wait for DNS.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

A = TypeVar("A")
T = TypeVar("T")

WORK_S: Final = 0.002
"""So long a thread works in Python, and then the event loop makes a turn."""

_PATIENCE_S: Final = 0.05
"""So long it waits for that turn. A loop that takes longer is waited for no more, this time: it may
wait for this very thread, or make no more turns at all."""


def in_thread(work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
    """The result of `work`, called in a thread of its own.

    Other than with `asyncio.to_thread`, the loop can end while it still runs, and the work goes on
    if its caller is cancelled.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # T may be None

    def run() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as caught:  # noqa: BLE001  it is raised where the result is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return future


class Loop(Protocol):
    """What `Turns` needs of an event loop."""

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object:
        """Have it called in the next turn. Raises RuntimeError if there is none any more."""


class Turns:
    """Has the work of one thread wait, every few milliseconds, until the loop has made a turn.

    CPython (3.11) gives the interpreter's lock to a thread that waits for it after 5 ms. These 5 ms
    begin again whenever the holder lets go for a moment. Work that hashes or writes a small block
    lets go for 20 us each time, in which another thread does not even wake up; so it may keep the
    loop from running for any time (16 ms were seen). Waiting for a turn has no such luck in it.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        clock: Callable[[], float] = time.perf_counter,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._patience_s = patience_s
        self._ended = False
        self._turned = threading.Event()

    def between(self, step: Callable[[A], T]) -> Callable[[A], T]:
        """`step`, that of work which is about to begin, with the waiting between its calls."""
        since = self._clock()

        def called(argument: A) -> T:
            nonlocal since
            if self._clock() - since >= WORK_S:
                self._wait()
                since = self._clock()
            return step(argument)

        return called

    def _wait(self) -> None:
        if self._ended:
            return
        self._turned.clear()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._turned.set)
            self._turned.wait(self._patience_s)

    def end(self) -> None:
        """Wait no more: the loop is about to wait for the thread."""
        self._ended = True
        self._turned.set()
