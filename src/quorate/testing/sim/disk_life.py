"""The life of one simulated disk alone: writes, crashes, starts; at its end a bit flips, or cuts.

What the log store does wrong shows in a whole cluster too, but late: there few writes are torn, and
fewer crashes follow one another. Here they do, in a few milliseconds a seed. Every start is
compared with what was durable (`SimDisk.load`).
"""

from __future__ import annotations

from random import Random

from quorate.errors import LogDamaged
from quorate.raft import Configuration, Server
from quorate.raft.effects import Persist
from quorate.raft.values.messages import Entry, HardState
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.testing.sim.machines.disk import SimDisk, Snapshot
from quorate.testing.sim.verdicts.violations import ViolationError, expect

_STEPS = 25
_SIZES = (0, 10, 100, 700, 700, 2000, 3000)
_CRASHES = 0.45  # of the steps are writes that a crash ends; more often right after a crash
_TRUNCATES = 0.15
_COMPACTS = 0.2
_NEW_TERM = 0.3
_SNAPSHOTS = 0.1
_FLIPS_A_SNAPSHOT = 0.3  # of the lives that have one
_FLIPS = 0.8  # of the lives end with a flipped bit
_CUTS = 8  # as it is found at a start, then after a write each; what is cut is a copy
_MEMBERS = Configuration((Server("a", "a:1"),))


class DiskLife:
    """See the module. Raises ViolationError."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"disk {seed}")
        self.disk = SimDisk("a")
        self._sequence = 0

    def run(self) -> None:
        """All of it."""
        rng, disk = self.rng, self.disk
        for _ in range(_STEPS):
            if disk.log and rng.random() < _SNAPSHOTS:
                self._take_snapshot()
            persist = self._draw()
            if rng.random() >= _CRASHES:
                disk.write(persist)
                continue
            while True:
                disk.queue, disk.busy = [persist], True
                disk.crash(rng.choice([0, 0, 0, 1]), rng)
                self._start()
                if rng.random() < 0.5:
                    break
                persist = self._draw()
        if rng.random() < _FLIPS:
            self._flip()
        else:
            disk.crash(0, rng)
            self._start()
            for _ in range(_CUTS):
                self._cut()
            for _ in range(_CUTS):
                disk.write(self._draw())
                self._cut()

    def _start(self) -> None:
        try:
            self.disk.load()
        except LogDamaged as damage:
            raise ViolationError(f"found damage that is none: {damage}") from damage

    def _flip(self) -> None:
        disk, rng = self.disk, self.rng
        in_snapshot = disk.snapshot is not None and rng.random() < _FLIPS_A_SNAPSHOT
        what = disk.flip_snapshot("meta", rng) if in_snapshot else disk.flip(rng)
        try:
            disk.load()
        except LogDamaged:
            return
        expect(not disk.flipped, f"believed damage: {what}")

    def _cut(self) -> None:
        """Nothing durable is lost, or the start says that it is; which it is, the disk compares."""
        disk = self.disk.image()
        what = disk.cut(self.rng)
        try:
            disk.load()
        except LogDamaged:
            return
        except ViolationError as error:
            raise ViolationError(f"{error}; another program had removed {what}") from error

    def _take_snapshot(self) -> None:
        disk = self.disk
        last = disk.log[-1]
        disk.store_snapshot(
            Snapshot.of((last.index, last.term, _MEMBERS, 1), StateStore(TODAY).image())
        )

    def _draw(self) -> Persist:
        """The next write."""
        rng, disk = self.rng, self.disk
        self._sequence += 1
        base, last = disk.base[0], disk.base[0] + len(disk.log)
        term = disk.hard_state.term
        state = None
        if term == 0 or rng.random() < _NEW_TERM:
            term += 1
            state = HardState(term, rng.choice("abc"), term)
        truncate_from = 0
        kept = max(base, disk.snapshot.index if disk.snapshot else 0)
        if state is not None and kept < last and rng.random() < _TRUNCATES:
            truncate_from = rng.randint(kept + 1, last)
            last = truncate_from - 1
        entries = []
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
            last += 1
            entries.append(Entry(last, term, 0, rng.randbytes(rng.choice(_SIZES))))
        compact_to = None
        if not truncate_from and rng.random() < _COMPACTS and last > base + 1:
            compact_to = rng.randint(base, last - 1)
        return Persist(
            self._sequence,
            hard_state=state,
            truncate_from=truncate_from or None,
            entries=tuple(entries),
            compact_to=compact_to,
        )
