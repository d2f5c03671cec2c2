"""Clients of locks: they acquire, renew, write while they hold, release, or just go away.

Each counts by its own clock, as docs/variables.md says: a lock is taken for lost when a TTL has
passed since the last renewal that was answered was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from quorate.errors import QuorateError
from quorate.state.engine.table import Command
from quorate.state.tables.locks import AcquireLock, ReleaseLock, RenewLock
from quorate.state.tables.variables import Conflict, PutVariable, Variable, key_of
from quorate.testing.sim.plans.plan import ClientPlan
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World
from quorate.testing.stored.clients import LOCKED, NAMESPACE, Asking
from quorate.testing.stored.process import NOT_BEGUN, StoredProcess
from quorate.testing.stored.rules import Belief, Rules

_NS = 1_000_000_000
_TTLS_NS = (_NS // 2, _NS, 2 * _NS)
_DELAYS_NS = (0, 0, _NS // 4, _NS)
_BACK_OFF_S = 0.05
_NUMBERS = 100
_LAST_MOMENT = 0.2
_LAST_MOMENT_S = 0.15


class Holder(Asking):
    """See the module."""

    def __init__(
        self,
        world: World,
        processes: Mapping[str, StoredProcess],
        plan: ClientPlan,
        rules: Rules,
    ) -> None:
        super().__init__(world, processes, f"h{plan.number}", plan.patience_s / 2)
        self.plan = plan
        self.rules = rules
        self._rate = self.rng.uniform(1.0, rules.clocks.drift)
        self._ids = 0
        self._written = 0
        self._forget()

    def begin(self) -> None:
        """Start, after a pause."""
        self.world.later(self.rng.random() * 4 * self.plan.pause_s, self._go)

    def _forget(self) -> None:
        """Nothing is held, and nothing is wanted."""
        self.lock_id = ""
        self.path = ""
        self.fence = 0
        self._believes_until = 0.0
        self._in_time = True  # it does not wait for the last moment

    def _holds(self) -> bool:
        return self.world.now < self._believes_until

    def _go(self) -> None:
        """The next thing to do."""
        if self.world.now >= self.until:
            self._believe(0.0)
            return
        process = self.someone()
        if process is None:
            self.begin()
        elif not self.lock_id:
            self._want(process)
        elif not self.fence:
            self._acquire(process)
        elif not self._holds():
            self.rules.met["a holder took its lock for lost"] += 1
            self._give_up()
        else:
            self._hold(process)

    # -- to get it --------------------------------------------------------------------------

    def _want(self, process: StoredProcess) -> None:
        rng = self.rng
        self._ids += 1
        self.lock_id = f"{self.name}-{self._ids}"
        self.path = rng.choice(LOCKED)
        self.ttl_ns, self.delay_ns = rng.choice(_TTLS_NS), rng.choice(_DELAYS_NS)
        self._acquire(process)

    def _acquire(self, process: StoredProcess) -> None:
        sent, sealer = self.world.now, process.sealer
        number = self._number()

        def make() -> Command:
            sealed = sealer.seal(NAMESPACE, self.path, {"v": str(number)})
            return AcquireLock(
                namespace=NAMESPACE,
                path=self.path,
                time_ns=number,
                lock_id=self.lock_id,
                ttl_ns=self.ttl_ns,
                delay_ns=self.delay_ns,
                data=sealed.data,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
            )

        self.ask_write(process, make, partial(self._acquired, sent), self.begin)

    def _acquired(self, sent: float, result: Any, index: int, error: QuorateError | None) -> None:
        del index
        if isinstance(result, Variable):
            expect(result.lock_id == self.lock_id, f"acquired for {result.lock_id}")
            self.fence = result.lock_fence
            self._prove(sent)
            self.rules.met["a lock was acquired"] += 1
        elif isinstance(result, Conflict) and self.rng.random() < 0.1:
            self._forget()  # it wants another one
        if error is not None and not isinstance(error, NOT_BEGUN):
            self.rules.met["an acquisition may stand or not"] += 1
        self._soon()

    def _prove(self, sent: float) -> None:
        """The lock was held when this was answered, which was sent then."""
        self._believe(sent + self.ttl_ns / _NS / self._rate)

    def _believe(self, until: float) -> None:
        """So long, in seconds of the world: its own clock says so."""
        self._believes_until = until
        known = self.rules.beliefs.setdefault(key_of(NAMESPACE, self.path), {})
        known.pop(self.name, None)
        if until > self.world.now:
            ttl, delay = map(self.rules.shortest, (self.ttl_ns, self.delay_ns))
            covered = ttl + delay >= self.ttl_ns / _NS / self._rate
            since_restore = delay >= self.ttl_ns / _NS / self._rate
            known[self.name] = Belief(self.name, self.lock_id, until, covered, since_restore)

    # -- to have it -------------------------------------------------------------------------

    def _hold(self, process: StoredProcess) -> None:
        draw = self.rng.random() if self._in_time else 0.0
        if draw < 0.55:
            self._renew(process)
        elif draw < 0.85:
            self._write(process)
        elif draw < 0.95:
            self._release(process)
        else:  # its process is killed
            self.rules.met["a holder went away"] += 1
            self._give_up()

    def _renew(self, process: StoredProcess) -> None:
        sent = self.world.now
        command = RenewLock(namespace=NAMESPACE, path=self.path, lock_id=self.lock_id)

        def heard(result: Any, index: int, error: QuorateError | None) -> None:
            del index, error
            if isinstance(result, Variable):
                expect(result.lock_fence == self.fence, f"{self.lock_id} has another fence now")
                self._prove(sent)
            elif isinstance(result, Conflict):
                self.rules.met["a holder heard that its lock was lost"] += 1
                self._give_up()
                return
            self._soon()

        self.ask_write(process, lambda: command, heard, self._soon)

    def _write(self, process: StoredProcess) -> None:
        """The variable itself may be written by the holder alone."""
        number, sealer = self._number(), process.sealer

        def make() -> Command:
            sealed = sealer.seal(NAMESPACE, self.path, {"v": str(number)})
            return PutVariable(
                namespace=NAMESPACE,
                path=self.path,
                time_ns=number,
                data=sealed.data,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
                lock_id=self.lock_id,
            )

        def heard(result: Any, index: int, error: QuorateError | None) -> None:
            del index, error
            if isinstance(result, Conflict):
                self.rules.met["a write of a former holder was refused"] += 1
                self._give_up()
                return
            self._soon()

        self.ask_write(process, make, heard, self._soon)

    def _release(self, process: StoredProcess) -> None:
        command = ReleaseLock(
            namespace=NAMESPACE,
            path=self.path,
            lock_id=self._stranger() or self.lock_id,
            time_ns=process.unix_ns(),
        )
        self.ask_write(process, lambda: command, lambda *_: None, lambda: None)
        self._give_up()

    def _stranger(self) -> str:
        """Now and then somebody mixes up the IDs."""
        return "somebody-else" if self.rng.random() < 0.2 else ""

    def _give_up(self) -> None:
        self._believe(0.0)
        self._forget()
        self.begin()

    def _soon(self) -> None:
        self._in_time = True
        if self.fence and self.rng.random() < _LAST_MOMENT:
            left = self._believes_until - self.world.now
            self._in_time = False
            pause = max(left - _LAST_MOMENT_S * self.rng.random(), 0.0)
        elif self.fence:
            pause = self.ttl_ns / _NS / 6 * (0.5 + self.rng.random())
        else:
            pause = _BACK_OFF_S * (0.5 + self.rng.random())
        self.world.later(pause, self._go)

    def _number(self) -> int:
        self._written += 1
        return 1_000_000_000 + self._written * _NUMBERS + self.plan.number
