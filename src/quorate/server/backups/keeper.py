"""Makes, verifies and removes the backups of the cluster, while this server leads it.

What is done in which order is decided by `quorate.autopilot.deciders.backing_up`; here each act is
carried out. Nothing of it waits on the loop: the disk and the network are waited for in threads,
and a file is checked in a process of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Final, Protocol, TypeVar

from quorate.autopilot.deciders import backing_up as decider
from quorate.autopilot.deciders.backing_up import Facts, Found, Memory, Outcome
from quorate.backup.check import ABSENT, BROKEN, Job, Result
from quorate.backup.places import open_target
from quorate.backup.proving import Proof
from quorate.backup.target import Target, is_name
from quorate.errors import BackupFailed, NoBackupTarget, NoSuchBackup, NotLeader, QuorateError
from quorate.net.threads import in_thread
from quorate.server.archive.replacing import Report
from quorate.server.backups.standing import Standing
from quorate.server.backups.taking import Taken
from quorate.server.options import BackupOptions
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables import backups
from quorate.state.tables.backups import BACKUPS_LEVEL, Backup

log: Final = logging.getLogger("quorate.server")

_ROUND_S: Final = 0.25
_AFTER_ERROR_S: Final = 1.0
_MEMORY_BASE: Final = 1 << 30
_MEMORY_TIMES: Final = 24
"""What a state takes in memory is less than this many times what it takes as a file."""

T = TypeVar("T")


class Takes(Protocol):
    """The state as a file (`quorate.server.backups.taking`)."""

    async def take(self, slot: int, *, manual: bool) -> Taken:
        """The state of now. Raises QuorateError."""


class RestoresFiles(Protocol):
    """The way back (`quorate.server.archive.restoring`)."""

    async def restore(
        self,
        archive: AsyncIterator[bytes],
        *,
        force: bool = False,
        dry_run: bool = False,
        keep_acl: bool = False,
    ) -> Report:
        """Check the archive, and restore it. Raises QuorateError."""


class Begins(Protocol):
    """The backup with which a new cluster begins (`quorate.server.backups.beginning`)."""

    @property
    def problem(self) -> str:
        """Why that is not settled yet, or empty."""

    async def run(self) -> None:
        """Until it is settled."""


class Backups:
    """See the module. `leads` says that this server leads and has applied what was before.

    `sure` says so by the lease: files are named and deleted at the target by one leader at a time.
    `now` is a clock that is never set.
    """

    def __init__(
        self,
        *,
        options: BackupOptions,
        state: StateStore,
        taking: Takes,
        restores: RestoresFiles,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        server_id: str,
        leads: Callable[[], bool],
        sure: Callable[[], bool],
        now: Callable[[], float],
        begin: Begins,
    ) -> None:
        self.options = options
        self._state = state
        self._taking = taking
        self._restores = restores
        self._apply = apply
        self._server_id = server_id
        self._leads = leads
        self._sure = sure
        self._now = now
        self._begin = begin
        self._memory = Memory()
        self._working = asyncio.Lock()
        self._taken: Taken | None = None
        self._proof: Proof | None = None
        self._told = ""

    async def run(self) -> None:
        """For ever: what is to be done, after a new cluster has begun with what it was to."""
        await self._begin.run()
        try:
            while True:
                await asyncio.sleep(_ROUND_S)
                if not self._able():
                    continue
                try:
                    async with self._working:
                        self._memory = await self._done(decider.work(self._look, self._memory))
                except QuorateError as error:  # the next round, or the next leader, goes on
                    log.info("the work on backups is postponed: %s", error.line())
                    await asyncio.sleep(_AFTER_ERROR_S)
                self._tell()
        finally:
            if self._proof is not None:
                self._proof.stop()

    def _able(self) -> bool:
        known = self.options.target is not None and self._state.level >= BACKUPS_LEVEL
        return known and self._leads()

    # -- what is known -----------------------------------------------------------------------------

    def facts(self) -> Facts:
        """What is known of backups here now."""
        schedule, now = self.options.schedule, time.time()
        due, every_s = schedule.due(now) if schedule is not None else (0, 0.0)
        return Facts(
            me=self._server_id,
            now=now,
            elapsed=self._now(),
            due=due,
            every_s=every_s,
            retain=self.options.retain,
            progress=backups.progress(self._state),
            backups=dict(self._state.rows(backups.TABLE)),
        )

    def problem(self) -> str:
        """What is wrong with the backups, or empty. Each server can tell it."""
        if self._begin.problem:
            return self._begin.problem
        if self.options.target is None or self._state.level < BACKUPS_LEVEL:
            return ""
        return decider.problem(self.facts(), self._memory)

    def standing(self) -> Standing:
        """How it stands, as known here now."""
        facts = self.facts()
        known = facts.progress
        age_s = facts.now - known.verified_ms / 1000 if known.verified_ms else None
        rows = sorted(facts.backups.values(), key=lambda row: -row.create_index)
        return Standing(
            newest_first=tuple(rows),
            progress=known,
            problem=self.problem(),
            next_due=int(facts.due + facts.every_s),
            verified_age_s=age_s,
        )

    def _look(self) -> Facts | None:
        return self.facts() if self._leads() else None

    def _tell(self) -> None:
        problem = self.problem()
        kind = problem.partition(" ")[0] + self._memory.why
        if problem and kind != self._told:
            log.warning("backups: %s", problem)
        elif not problem and self._told:
            log.info("backups: all is well again")
        self._told = kind if problem else ""

    # -- what operators ask for ------------------------------------------------------------------

    async def make(self) -> Backup:
        """Make one now, beside the schedule. Raises QuorateError with why it is not verified."""
        self._demand()
        async with self._working:
            slot = int(time.time())
            known = set(self._state.rows(backups.TABLE))
            why = await self._done(decider.made(self._look, slot, manual=True))
            why = why or await self._done(decider.tidied(self._look))
        rows = self._state.rows(backups.TABLE)
        made = [row for name, row in rows.items() if name not in known and row.slot == slot]
        why = why or backups.progress(self._state).why
        if not made:
            raise BackupFailed(f"no backup was made: {why}", "look at the target, and try again")
        return made[0]

    async def verify(self, name: str) -> Backup:
        """Verify a backup once more; it says how it was found. Raises QuorateError."""
        self._demand()
        async with self._working:
            row = self._listed(name)
            why = await self._done(decider.checked(self.facts(), row))
        if why:
            raise BackupFailed(f"{name} could not be verified: {why}", "try again")
        return self._listed(name)

    async def prune(self) -> list[str]:
        """Delete what retention does not keep, now; the names. Raises QuorateError."""
        self._demand()
        gone: list[str] = []
        async with self._working:
            while True:
                facts = self.facts()
                names = decider.surplus(facts.backups, facts.retain)
                if not names:
                    return gone
                why = await self._done(decider.dropped(names[0]))
                if why:
                    raise BackupFailed(f"{names[0]} is not deleted: {why}", "try again")
                gone.append(names[0])

    async def restore(
        self, name: str, *, force: bool, dry_run: bool, keep_acl: bool = False
    ) -> Report:
        """Restore a backup of the target, as from a file. Raises QuorateError."""
        self._demand()
        row = self._listed(name)
        pieces = self._pieces(row.name)
        return await self._restores.restore(pieces, force=force, dry_run=dry_run, keep_acl=keep_acl)

    def _demand(self) -> None:
        if self.options.target is None:
            raise NoBackupTarget
        if not self._leads():
            raise NotLeader

    def _listed(self, name: str) -> Backup:
        if not is_name(name):
            raise NoSuchBackup(repr(name[:80]))
        row = self._state.get(backups.TABLE, name)
        if row is None:
            raise NoSuchBackup(name)
        return row

    async def _pieces(self, name: str) -> AsyncIterator[bytes]:
        pieces = self._target().get(name)
        while (piece := await in_thread(next, pieces, None)) is not None:
            yield piece

    # -- acts --------------------------------------------------------------------------------------

    async def _done(self, steps: Generator[decider.Act, Outcome, T]) -> T:
        """Carry the acts out to their end. Raises QuorateError if the log takes no entry."""
        try:
            act = next(steps)
            while True:
                act = steps.send(await self._carried_out(act))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            self._close()

    async def _carried_out(self, act: decider.Act) -> Outcome:
        match act:
            case decider.Write(command=command):
                return Outcome(result=(await self._apply(encode(command)))[1])
            case decider.Take(slot=slot, manual=manual):
                return await self._take(slot, manual=manual)
            case decider.Put(name=name):
                return await self._put(name)
            case decider.Check(backup=backup):
                return await self._check(backup)
            case decider.Delete(name=name):
                return await self._delete(name)

    async def _take(self, slot: int, *, manual: bool) -> Outcome:
        try:
            self._taken = await self._taking.take(slot, manual=manual)
        except QuorateError as error:
            return Outcome(why=error.line())
        return Outcome(backup=self._taken.backup)

    async def _put(self, name: str) -> Outcome:
        taken = self._taken
        assert taken is not None
        spool, size = taken.spool, taken.spool.size
        target = self._target()

        def put() -> None:
            spool.rewind()
            target.put(name, spool.read, size, lambda: self._sure() and not spool.stopped)

        outcome = await self._timely(in_thread(put))
        if outcome.why:
            spool.stopped = True  # a thread that still waits names nothing any more
        return outcome

    async def _delete(self, name: str) -> Outcome:
        if not self._sure():  # what is the last verified one another leader may have found by now
            return Outcome(why="this server leads no more; the leader deletes what is to go")
        target = self._target()
        return await self._timely(in_thread(target.delete, name))

    async def _timely(self, work: Awaitable[None]) -> Outcome:
        try:
            async with asyncio.timeout(self.options.deadline_s):
                await work
        except TimeoutError:
            return Outcome(why=f"the target has not answered within {self.options.deadline_s:g} s")
        except QuorateError as error:
            return Outcome(why=error.line())
        return Outcome()

    async def _check(self, row: Backup) -> Outcome:
        assert self.options.target is not None
        job = Job(
            target=self.options.target,
            name=row.name,
            memory_bytes=_MEMORY_BASE + _MEMORY_TIMES * row.state_bytes,
            deadline_s=max(int(self.options.deadline_s), 1),
        )
        proof = self._proof = Proof(job)
        try:
            found = await in_thread(proof.run)
        finally:
            proof.stop()
            self._proof = None
        return _outcome(row, found)

    def _target(self) -> Target:
        assert self.options.target is not None
        return open_target(self.options.target)

    def _close(self) -> None:
        if self._taken is not None:
            self._taken.spool.close()
            self._taken = None


def _outcome(row: Backup, found: Result) -> Outcome:
    """What the check of a file says of the backup as it was taken."""
    if found.failed == ABSENT:
        return Outcome(found=Found.ABSENT, why=found.why)
    if found.failed == BROKEN:
        return Outcome(found=Found.WRONG, why=found.why)
    if found.failed:
        return Outcome(found=Found.UNKNOWN, why=found.why)
    if found.sha256 != row.sha256:
        return Outcome(found=Found.WRONG, why="its SHA-256 is not that of what was put there")
    if found.digest != row.digest:
        why = (
            f"its state has the digest {found.digest[:12]}, and the servers had {row.digest[:12]} "
            f"at index {row.index}"
        )
        return Outcome(found=Found.WRONG, why=why)
    return Outcome(found=Found.WHOLE)
