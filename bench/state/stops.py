"""How long the event loop stops: while the state grows, is copied, hashed, collected, replaced.

A stop is a turn of the loop that took longer than it should: the time between two ticks of a timer
of 1 ms. What the loop's own thread worked in that time is told beside it, and so is what the thread
worked for which the loop had to wait, where there is one: on a machine that does other things as
well only these are the program's own.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, ParamSpec, TypeVar

import uvloop

from bench.state.table import AT_ONCE, ITEMS, REGISTRY, commands
from quorate.net.threads import Turns
from quorate.server.integrity.slices import in_slices
from quorate.state.engine.commands import encode
from quorate.state.engine.digest import again
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot
from quorate.state.engine.store import StateStore

P = ParamSpec("P")
T = TypeVar("T")

_TICK_S = 0.001


class Stop(NamedTuple):
    """The longest turn; the longest work in one turn, of the loop's thread and of one beside it.

    In milliseconds.
    """

    wall_ms: float
    work_ms: float
    beside_ms: float


class Watchdog:
    """Ticks, and keeps the longest stop of each phase."""

    def __init__(self) -> None:
        self.stops: dict[str, Stop] = {}
        self._beside: int | None = None  # the clock of the processor time of the thread beside

    def beside(self, work: Callable[P, T]) -> Callable[P, T]:
        """`work` for a thread, with its time told."""

        def told(*arguments: P.args, **named: P.kwargs) -> T:
            self._beside = time.pthread_getcpuclockid(threading.get_ident())
            try:
                return work(*arguments, **named)
            finally:
                self._beside = None

        return told

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """What happens inside is kept under this name."""
        ticking = asyncio.create_task(self._tick(name))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            await asyncio.sleep(2 * _TICK_S)
            ticking.cancel()

    async def _tick(self, name: str) -> None:
        wall, work, clock, beside = time.perf_counter(), time.thread_time(), self._beside, 0.0
        while True:
            await asyncio.sleep(_TICK_S)
            before, clock = clock, self._beside
            beside_now = 0.0 if clock is None else time.clock_gettime(clock)
            if clock != before:
                beside = beside_now
            wall_now, work_now = time.perf_counter(), time.thread_time()
            known = self.stops.get(name, Stop(0, 0, 0))
            took = (wall_now - wall - _TICK_S, work_now - work, beside_now - beside)
            self.stops[name] = Stop(*map(max, known, (each * 1e3 for each in took)))
            wall, work, beside = wall_now, work_now, beside_now


async def _fill(store: StateStore, first: int, last: int) -> None:
    for command in commands(first, last, seed=first):
        store.apply(store.applied_index + 1, command)
        await asyncio.sleep(0)


class Stops(NamedTuple):
    """The longest stop of each phase, and what the state was at the end.

    `tracked` is the number of objects that the collector's full collections look at.
    """

    stops: dict[str, Stop]
    rows: int
    tracked: int


def stops(records: int) -> Stops:
    """The state grows to one and a half times `records`; at `records` it is copied and replaced."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_stops(records))


async def _stops(records: int) -> Stops:
    dog, store = Watchdog(), StateStore(REGISTRY)
    store.apply(1, encode(RaiseLevel(level=REGISTRY.level)))
    gc.collect()
    gc.freeze()  # as the agent does
    try:
        for part in range(6):  # a full collection at each quarter
            async with dog.phase("growing"):
                await _fill(store, records * part // 4, records * (part + 1) // 4)
            async with dog.phase("full collection"):
                gc.collect()
            if part == 3:
                await _copied(dog, store, records)
        return Stops(dog.stops, len(store.rows(ITEMS)), len(gc.get_objects()))
    finally:
        gc.unfreeze()


async def _copied(dog: Watchdog, store: StateStore, records: int) -> None:
    """All that is done with a whole state, while writes go on."""
    loop = asyncio.get_running_loop()
    turns = Turns(loop)
    with tempfile.TemporaryFile() as file:
        async with dog.phase("snapshot: image"):
            write_out = store.snapshot()
        async with dog.phase("snapshot: written in a thread, beside writes"):
            await _beside(
                loop.run_in_executor(None, dog.beside(write_out), turns.between(file.write)),
                store,
                records,
            )
        async with dog.phase("check: hashed again on the loop, beside writes"):
            await _beside(asyncio.ensure_future(_checked(store.image())), store, records)
        file.seek(0)
        async with dog.phase("install: decoded in a thread, beside writes"):
            decode = dog.beside(decode_snapshot)
            read = turns.between(file.read)
            decoding = loop.run_in_executor(None, decode, read, REGISTRY)
            image = await _beside(decoding, store, records)
        async with dog.phase("install: swapped, the old state freed"):
            await in_slices(store.restore(image).drain())


async def _checked(image: SnapshotImage) -> bytes:
    digest = await in_slices(again(image, REGISTRY))
    await in_slices(image.tables.drain())
    return digest


async def _beside(doing: asyncio.Future[T], store: StateStore, records: int) -> T:
    """The result; meanwhile rows are replaced, 50 at a time."""
    done = 0
    while not doing.done():
        await _fill(store, done % records, done % records + AT_ONCE)
        await asyncio.sleep(0.001)
        done += AT_ONCE
    return await doing
