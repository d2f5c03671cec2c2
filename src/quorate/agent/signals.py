"""The signals of an agent, kept from the first moment of its process on.

The handlers are there before anything large is imported and before any file is read, so that a
reload during the start is neither fatal nor lost (in process 1 of a container the kernel drops
what has no handler). They stay until the process has ended, so that a late signal changes no exit
code. Before the loop runs, a signal that stops the agent ends the process at once; from then on
`next` gives the signals: those that stop come before any reload.

Cheap to import: this is the first thing that a starting agent does.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
RELOADING: Final = signal.SIGHUP

NAMES: Final = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hangup",
}


class Signals:
    """Those that came and were not taken yet."""

    def __init__(self) -> None:
        self._stops: list[signal.Signals] = []
        self._reload = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came: asyncio.Event | None = None

    def install(self) -> None:
        """Keep signals from now on. To be called in the main thread."""
        for number in (*STOPPING, RELOADING):
            signal.signal(number, self._handle)

    def attach(self) -> None:
        """From now on, wake those who wait on the running loop."""
        import asyncio

        self._loop, self._came = asyncio.get_running_loop(), asyncio.Event()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        which = signal.Signals(number)
        if self._loop is None:
            if which in STOPPING:
                raise SystemExit(1)
            self._reload = True
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.put, which)

    def put(self, number: signal.Signals) -> None:
        """A signal has come."""
        if number is RELOADING:
            self._reload = True
        else:
            self._stops.append(number)
        if self._came is not None:
            self._came.set()

    async def next(self) -> signal.Signals:
        """Take the next one."""
        while not (self._stops or self._reload):
            await self._more()
        if self._stops:
            return self._stops.pop(0)
        self._reload = False
        return RELOADING

    async def stop(self) -> signal.Signals:
        """The next one that stops the agent; it is not taken."""
        while not self._stops:
            await self._more()
        return self._stops[0]

    async def _more(self) -> None:
        assert self._came is not None, "not attached to a loop"
        self._came.clear()
        await self._came.wait()


PROCESS: Final = Signals()
"""Those of this process; a process has one set of handlers."""
