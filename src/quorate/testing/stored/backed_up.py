"""Lives in which leaders make backups as well: the decider of production, and a target that fails.

What a leader decides, and the entries by which it begins and ends a backup, are those of production
(`quorate.autopilot.deciders.backing_up`). The target is one for the whole life, as a share is. Its
disk is full, it does not answer, an answer is lost, what it holds rots; leaders change at any
moment, are suspended within an act, and their times of day are set.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from functools import partial
from random import Random
from typing import Final, TypeVar

from quorate.autopilot.deciders import backing_up as decider
from quorate.autopilot.deciders.backing_up import Facts, Found, Memory, Outcome
from quorate.errors import QuorateError
from quorate.runtime.listeners import Listeners
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables import backups
from quorate.state.tables.backups import BACKUPS_LEVEL, PLACING, VERIFIED, Backup
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World
from quorate.testing.stored.life import StoredLife
from quorate.testing.stored.process import StoredProcess

EVERY_S: Final = 2
RETAIN: Final = 2

BACKUP_SITUATIONS: Final = (
    "a backup was verified",
    "a target was full",
    "a target did not answer",
    "an answer of the target was lost",
    "a file was named by nobody: its leader had lost its lease",
    "a file was damaged",
    "a backup that nobody had ended was settled",
    "a backup was deleted",
    "a file that was right rots",
    "a time of day was set back",
)
"""What such lives are to come through."""

_ROUND_S: Final = 0.25
_AFTER_ERROR_S: Final = 1.0
_ACT_S: Final = 0.3
_RIGHT: Final = "right"
_ROTTEN: Final = "rotten"

T = TypeVar("T")


class Target:
    """Files by name. Until `calm_from` it fails by the seed of the life."""

    def __init__(self, seed: int, calm_from: float) -> None:
        self.files: dict[str, str] = {}
        self.met: Counter[str] = Counter()
        self.rng = Random(f"{seed} target")
        self.calm_from = calm_from
        self.clocks: dict[str, float] = {}  # by host: how far its time of day was set
        self._harm = self.rng.choice([0.0, 0.3, 0.6])

    def fails(self, world: World) -> bool:
        """Whether it fails this time."""
        return world.now < self.calm_from and self.rng.random() < self._harm

    def meet(self, what: str) -> None:
        """It came to that."""
        assert what in BACKUP_SITUATIONS
        self.met[what] += 1


class BackupWorker:
    """Of one process: does what the decider says, while it leads."""

    def __init__(self, process: StoredProcess, target: Target) -> None:
        self._process = process
        self._target = target
        self._world = process.world
        self._memory = Memory()
        self.asked = False  # to verify them once more
        process.loop.spawn(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_ROUND_S)
            if self._process.state.level < BACKUPS_LEVEL or not self._process.leads():
                continue
            try:
                if self.asked:
                    self.asked = False
                    await self._verified()
                self._memory = await self._done(decider.work(self._look, self._memory))
            except QuorateError:  # the next round, or the next leader, goes on
                await asyncio.sleep(_AFTER_ERROR_S)

    async def _verified(self) -> None:
        """As operators ask for it: all, the newest first."""
        for name in sorted(self.facts().backups, reverse=True):
            facts = self.facts()
            row = facts.backups.get(name)
            if row is not None and row.status != PLACING:
                await self._done(decider.checked(facts, row))

    def _look(self) -> Facts | None:
        return self.facts() if self._process.leads() else None

    def facts(self) -> Facts:
        """What is known here now."""
        process, state = self._process, self._process.state
        now = process.unix_ns() / 1e9 + self._target.clocks.get(process.host.name, 0.0)
        return Facts(
            me=process.host.name,
            now=now,
            elapsed=process.loop.time(),
            due=int(now) // EVERY_S * EVERY_S,
            every_s=float(EVERY_S),
            retain=RETAIN,
            progress=backups.progress(state),
            backups=dict(state.rows(backups.TABLE)),
        )

    # -- acts --------------------------------------------------------------------------------------

    async def _done(self, steps: Generator[decider.Act, Outcome, T]) -> T:
        try:
            act = next(steps)
            while True:
                act = steps.send(await self._carried_out(act))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _carried_out(self, act: decider.Act) -> Outcome:
        if isinstance(act, decider.Write):
            return Outcome(result=(await self._process.writes.apply(encode(act.command)))[1])
        await asyncio.sleep(self._target.rng.random() * _ACT_S)
        match act:
            case decider.Take(slot=slot):
                return self._taken(slot)
            case decider.Put(name=name):
                return self._put(name)
            case decider.Check(backup=backup):
                return self._checked(backup)
            case decider.Delete(name=name):
                return self._deleted(name)

    def _taken(self, slot: int) -> Outcome:
        if self._target.fails(self._world):
            return Outcome(why="no majority of the servers has told its digest")
        facts, index = self.facts(), self._process.state.applied_index
        taken = Backup(
            name=f"quorate-c-{slot}-{index}.snap",
            slot=slot,
            by=facts.me,
            index=index,
            term=1,
            state_index=index,
            time_ms=int(facts.now * 1000),
            size=1,
            sha256="",
            state_bytes=1,
            digest="",
            holders=2,
        )
        return Outcome(backup=taken)

    def _put(self, name: str) -> Outcome:
        target = self._target
        harm = target.rng.choice(["full", "lost", "rot"]) if target.fails(self._world) else ""
        if harm == "full":
            target.meet("a target was full")
            return Outcome(why="no space left on device")
        if not self._process.host.driver.lease_valid():
            target.meet("a file was named by nobody: its leader had lost its lease")
            return Outcome(why="this server leads no more")
        expect(name not in target.files, f"the backup {name} would replace a file")
        listed = name in newest_state(self._world).rows(backups.TABLE)
        expect(listed, f"the file {name} is one that no state lists")
        target.files[name] = _ROTTEN if harm == "rot" else _RIGHT
        if harm == "lost":
            target.meet("an answer of the target was lost")
            return Outcome(why="the connection was reset")
        return Outcome()

    def _checked(self, backup: Backup) -> Outcome:
        target = self._target
        if target.fails(self._world):
            target.meet("a target did not answer")
            return Outcome(why="the target does not answer")
        if backup.status == PLACING and backup.by != self._process.host.name:
            target.meet("a backup that nobody had ended was settled")
        held = target.files.get(backup.name)
        if held is None:
            return Outcome(found=Found.ABSENT, why="it is not there")
        if held != _RIGHT:
            target.meet("a file was damaged")
            return Outcome(found=Found.WRONG, why="it is damaged")
        target.meet("a backup was verified")
        return Outcome(found=Found.WHOLE)

    def _deleted(self, name: str) -> Outcome:
        target = self._target
        if target.fails(self._world):
            return Outcome(why="the target does not answer")
        if not self._process.host.driver.lease_valid():
            return Outcome(why="this server leads no more")
        rows = newest_state(self._world).rows(backups.TABLE)
        proven = [row for row in rows.values() if row.status == VERIFIED]
        last = max(proven, key=lambda row: row.create_index, default=None)
        expect(last is None or last.name != name, f"{name}, the last verified backup, is deleted")
        if target.files.pop(name, None) is not None:
            target.meet("a backup was deleted")
        return Outcome()


def newest_state(world: World) -> StateStore:
    """Of the server that has applied most."""
    machines = (host.machine for host in world.hosts.values())
    return max(machines, key=lambda machine: machine.index).store


class BackedUpLife(StoredLife):
    """A life as any other, with backups. `run` raises FailedLifeError."""

    program = "quorate.testing.stored --backups"

    def __init__(self, plan: Plan) -> None:
        self.target = Target(plan.seed, plan.duration)
        self._workers: dict[str, BackupWorker] = {}
        super().__init__(plan)
        rng = self.target.rng
        for name in rng.sample(sorted(self.world.hosts), k=min(2, len(self.world.hosts))):
            at = rng.random() * plan.duration
            jump = rng.choice([-3600.0, -30.0, -3.0, 5.0, 3600.0])
            self.world.later(at, partial(self._set_clock, name, jump))

        for _ in range(rng.choice([0, 6])):
            self.world.later(rng.random() * plan.duration, self._rot)
            self.world.later(rng.random() * plan.duration, self._ask)

    @property
    def met(self) -> Counter[str]:
        """How often each situation of backups came about."""
        return self.target.met

    def _rot(self) -> None:
        right = sorted(name for name, held in self.target.files.items() if held == _RIGHT)
        if right:
            self.target.files[self.target.rng.choice(right)] = _ROTTEN
            self.target.meet("a file that was right rots")

    def _ask(self) -> None:
        leader = self.world.leader()
        if leader is not None:
            self._workers[leader.name].asked = True

    def _set_clock(self, name: str, jump: float) -> None:
        self.target.clocks[name] = jump
        if jump < 0:
            self.target.meet("a time of day was set back")

    def _begins(self, host: Host, listeners: Listeners) -> None:
        super()._begins(host, listeners)
        worker = BackupWorker(self._former[-1], self.target)
        if host.name in self.world.hosts:
            self._workers[host.name] = worker

    def _settle(self) -> None:
        self.target.clocks.clear()  # somebody has put the clocks right
        super()._settle()

    def _owed(self) -> str:
        return super()._owed() or self._backups_owed()

    def _backups_owed(self) -> str:
        rows = newest_state(self.world).rows(backups.TABLE)
        if backups.progress(newest_state(self.world)).by:
            return "a backup is under way that nobody will end"
        if unsettled := [name for name, row in rows.items() if row.status != VERIFIED]:
            return f"backups are not settled: {unsettled}"
        if not rows or len(rows) > RETAIN:
            return f"{len(rows)} backups are kept, and {RETAIN} are to be"
        if set(rows) != set(self.target.files):
            return f"the files are {sorted(self.target.files)}, and {sorted(rows)} are listed"
        return ""
