"""Plays seeds for as long as told on several processors, and adds up what was met."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from quorate.testing.sim.life import FailedLifeError, Life
from quorate.testing.sim.plans.plan import Topology, draw
from quorate.testing.sim.verdicts.coverage import SITUATIONS

_BATCH = 10  # seeds for one task: about a second
_WAITING = 2 * (os.cpu_count() or 1)  # tasks handed out at once
_TELL_EVERY = 200  # lives


@dataclass
class Tally:
    """The totals of some seeds. `seconds` are of wall time, `cpu_s` of all processors together."""

    lives: int = 0
    steps: int = 0
    virtual_s: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0
    met: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)  # seed -> what was wrong

    def add(self, other: Tally) -> None:
        """Add what another process found."""
        self.lives += other.lives
        self.steps += other.steps
        self.virtual_s += other.virtual_s
        self.cpu_s += other.cpu_s
        self.met.update(other.met)
        self.failures.update(other.failures)

    def never(self) -> list[str]:
        """The situations that were not met."""
        return [name for name in SITUATIONS if not self.met[name]]

    def text(self) -> str:
        """The report, one situation to a line."""
        speed = self.steps / self.seconds if self.seconds else 0.0
        first = (
            f"{self.lives} lives, {self.steps} steps, {self.virtual_s / 3600:.1f} hours of cluster "
            f"time in {self.seconds:.0f} s ({self.cpu_s:.0f} s of processors): "
            f"{speed:.0f} steps per second"
        )
        lines = [
            first,
            *(f"{self.met[name]:10} {name}" for name in SITUATIONS),
            f"never reached: {', '.join(self.never()) or 'nothing'}",
        ]
        lines += [f"seed {seed} FAILED: {text}" for seed, text in sorted(self.failures.items())]
        return "\n".join(lines)


def play(seeds: range, topology: Topology | None = None) -> Tally:
    """Play these seeds, one after the other."""
    tally = Tally()
    begun = time.process_time()
    for seed in seeds:
        life = Life(draw(seed, topology))
        try:
            life.run()
        except FailedLifeError as failure:
            tally.failures[seed] = failure.rule
        tally.lives += 1
        tally.steps += life.world.events
        tally.virtual_s += life.world.now
        tally.met.update(life.world.coverage.counts)
    tally.cpu_s = time.process_time() - begun
    return tally


def soak(
    first: int,
    seconds: float,
    processes: int,
    progress: Callable[[Tally], None],
    topology: Topology | None = None,
) -> Tally:
    """Play seeds from `first` on for `seconds`; tell `progress` after every hundred or so."""
    total = Tally()
    begun = time.monotonic()
    told = 0
    with ProcessPoolExecutor(processes) as pool:
        for tally in _finished(pool, first, begun + seconds, topology):
            total.add(tally)
            total.seconds = time.monotonic() - begun
            if total.lives - told >= _TELL_EVERY:
                told = total.lives
                progress(total)
    return total


def _finished(
    pool: ProcessPoolExecutor, first: int, end: float, topology: Topology | None
) -> Iterator[Tally]:
    running: set[Future[Tally]] = set()
    while running or time.monotonic() < end:
        while len(running) < _WAITING and time.monotonic() < end:
            running.add(pool.submit(play, range(first, first + _BATCH), topology))
            first += _BATCH
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
