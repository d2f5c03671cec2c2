"""The rules for variables, locks, restores and root keys, whatever happens to the servers.

Every command is judged where some server applies it first; the others must come to the same
state, which the world's checker sees. The rules know locks by a model of their own: which ID holds
one, by which fence, since when, and until when nobody may have it.

Times are those of the world. A leader counts by a clock that may run fast: a TTL or a delay of so
many seconds may be over after `shortest` of it, and no earlier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorate.state.engine.commands import Wrapped, decode
from quorate.state.engine.restore.commands import BeginRestore, CommitRestore
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import locks, root_keys, variables
from quorate.state.tables.locks import AcquireLock, ExpireLock, ReleaseLock, RenewLock
from quorate.state.tables.root_keys import EndPhase, RemoveRootKey, ReplaceSeals
from quorate.state.tables.variables import (
    DeleteVariable,
    PutVariable,
    Variable,
    WriteVariables,
    key_of,
)
from quorate.testing.sim.machines.machine import SimMachine
from quorate.testing.sim.plans.plan import Clocks
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.violations import ViolationError, expect
from quorate.testing.stored.replaced import judge_restore

_NS = 1_000_000_000


class Value(NamedTuple):
    """A variable as histories have it: what was written, and the index that it got."""

    written: int
    at: int


@dataclass
class LockModel:
    """The lock of one variable. `renewed` and `index` are of the entry that renewed it last."""

    holder: str = ""
    fence: int = 0  # the highest that was ever given
    ttl_ns: int = 0
    delay_ns: int = 0
    renewed: float = 0.0
    index: int = 0
    free_from: float = 0.0
    delayed: bool = False


@dataclass
class Belief:
    """A client that believes to hold a lock, until a time of the world.

    Nobody else may acquire it before that, if TTL and delay together are long enough for clocks
    that run differently (`covered`), or, after a restore, the delay alone is (`delayed`).
    """

    client: str
    lock_id: str
    until: float
    covered: bool
    delayed: bool


@dataclass
class Replaced:
    """A restore that took effect, and what it made of the registers that it changed."""

    id: str
    at: float
    values: dict[str, Value | None]


@dataclass
class Rules:
    """The witness of all machines of a world; `registers` are variables by name of a history."""

    world: Stage
    clocks: Clocks
    registers: dict[str, str] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)
    locks: dict[str, LockModel] = field(default_factory=dict)
    beliefs: dict[str, dict[str, Belief]] = field(default_factory=dict)
    indexes: dict[int, int] = field(default_factory=dict)  # of what was written, where it took hold
    archives: dict[str, SnapshotImage] = field(default_factory=dict)  # by ID of the restore
    restores: list[Replaced] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._judged = 0
        self._index = 0
        self._before: SnapshotImage | None = None
        self._nonces: set[tuple[str, bytes]] = set()
        self.at_step: Callable[[], None] = lambda: None  # once an entry of a restore was applied

    # -- the witness --------------------------------------------------------------------------

    def applying(self, machine: SimMachine, index: int, command: bytes) -> None:
        """It is about to be applied."""
        self._before = None
        if index > self._judged and type(_plain(command)) is CommitRestore:
            self._before = machine.store.image()

    def applied(self, machine: SimMachine, index: int, command: bytes, result: Any) -> None:
        """It was, and this is what came of it."""
        store = machine.store
        store.take_left_over()
        if index <= self._judged:
            return
        self._judged = index
        expect(store.index > self._index, f"the index fell from {self._index} to {store.index}")
        self._index = store.index
        plain = _plain(command)
        judge = getattr(self, "_" + type(plain).__name__.lstrip("_"), None)
        if judge is not None:
            judge(store, plain, result)

    def shortest(self, length_ns: int) -> float:
        """The least time in which a server's clock runs on by so much."""
        if not self.clocks.lawful:
            return 0.0
        seconds = length_ns / _NS
        return max(seconds / self.clocks.drift - self.clocks.jump_s * (seconds + 1.0), 0.0)

    # -- variables ----------------------------------------------------------------------------

    def value_of(self, store: StateStore, register: str) -> Value | None:
        """What a register holds."""
        row = store.get(variables.TABLE, self.registers[register])
        return None if row is None else Value(row.modify_time, row.modify_index)

    def _PutVariable(self, store: StateStore, put: PutVariable, result: Any) -> None:  # noqa: N802
        if isinstance(result, Variable):
            self._written(store, key_of(put.namespace, put.path), put.time_ns, put.lock_id)

    def _WriteVariables(  # noqa: N802
        self, store: StateStore, write: WriteVariables, result: Any
    ) -> None:
        if type(result) is not tuple:
            return
        for each in write.operations:
            if each.items is not None:
                key = key_of(each.namespace, each.path)
                self._written(store, key, write.time_ns, each.lock_id)

    def _DeleteVariable(  # noqa: N802
        self, store: StateStore, delete: DeleteVariable, result: Any
    ) -> None:
        del store
        if result is None:
            key = key_of(delete.namespace, delete.path)
            holder = self._lock(key).holder
            expect(not holder, f"{delete.path} was deleted while {holder} held its lock")

    def _written(self, store: StateStore, key: str, written: int, lock_id: str) -> None:
        row = store.get(variables.TABLE, key)
        if row is None:
            raise ViolationError(f"{key!r} is not there after a write of several")
        expect(row.modify_index == store.index, f"{row.path} has index {row.modify_index}")
        self._sealed(row.key_id, row.nonce)
        holder = self._lock(key).holder
        expect(lock_id == holder, f"{row.path} was written for {lock_id!r}, held by {holder!r}")
        self.indexes[written] = row.modify_index

    # -- locks --------------------------------------------------------------------------------

    def _lock(self, key: str) -> LockModel:
        return self.locks.setdefault(key, LockModel())

    def _AcquireLock(  # noqa: N802
        self, store: StateStore, asked: AcquireLock, result: Any
    ) -> None:
        if not isinstance(result, Variable):
            return
        key, now = key_of(asked.namespace, asked.path), self.world.now
        lock = self._lock(key)
        expect(result.lock_id == asked.lock_id, "acquired for another")
        if lock.holder == asked.lock_id:
            expect(result.lock_fence == lock.fence, "a renewal changed the fence")
            self._renewed(store, lock)
            return
        expect(not lock.holder, f"{asked.lock_id} took {asked.path} from {lock.holder}")
        expect(result.lock_fence > lock.fence, f"the fence of {asked.path} fell from {lock.fence}")
        early = lock.free_from - now
        expect(early <= 0, f"{asked.path} was acquired {early:.3f} s before its delay was over")
        for belief in self.beliefs.get(key, {}).values():
            wrong = belief.covered and belief.until > now and belief.lock_id != asked.lock_id
            expect(
                not wrong,
                f"{asked.lock_id} acquired {asked.path}, and {belief.client} believes to hold it "
                f"for {belief.until - now:.3f} s more",
            )
        if lock.fence:
            self.met["a lock changed hands"] += 1
        self._sealed(result.key_id, result.nonce)
        lock.holder, lock.fence = asked.lock_id, result.lock_fence
        lock.ttl_ns, lock.delay_ns, lock.delayed = asked.ttl_ns, asked.delay_ns, False
        self._renewed(store, lock)

    def _renewed(self, store: StateStore, lock: LockModel) -> None:
        lock.renewed, lock.index = self.world.now, store.index

    def _RenewLock(self, store: StateStore, asked: RenewLock, result: Any) -> None:  # noqa: N802
        lock = self._lock(key_of(asked.namespace, asked.path))
        held = isinstance(result, Variable)
        expect(held == (lock.holder == asked.lock_id), f"{asked.lock_id}: renewed is {held}")
        if held:
            self._renewed(store, lock)
        else:
            self.met["a renewal was refused"] += 1

    def _ReleaseLock(  # noqa: N802
        self, store: StateStore, asked: ReleaseLock, result: Any
    ) -> None:
        lock = self._lock(key_of(asked.namespace, asked.path))
        released = isinstance(result, Variable)
        expect(
            released == (lock.holder == asked.lock_id),
            f"{asked.lock_id} asked to release the lock of {lock.holder!r}: {released}",
        )
        if released:
            lock.holder, lock.free_from, lock.index = "", self.world.now, store.index

    def _ExpireLock(self, store: StateStore, asked: ExpireLock, result: Any) -> None:  # noqa: N802
        lock, now = self._lock(key_of(asked.namespace, asked.path)), self.world.now
        if not result:
            self.met["an expiry came too late"] += 1
            return
        expect(asked.since == lock.index, f"{asked.path} expired by a renewal before the last")
        if lock.delayed:
            expect(now >= lock.free_from, f"the delay of {asked.path} was cut short")
            lock.delayed = False
            return
        least = self.shortest(lock.ttl_ns)
        lived = now - lock.renewed
        expect(
            lived >= least,
            f"{asked.path} expired {lived:.3f} s after its renewal, the least is {least:.3f} s",
        )
        self.met["a lock expired"] += 1
        lock.holder, lock.index, lock.delayed = "", store.index, bool(lock.delay_ns)
        lock.free_from = now + self.shortest(lock.delay_ns)

    # -- restores -----------------------------------------------------------------------------

    def _BeginRestore(self, store: StateStore, begin: BeginRestore, result: Any) -> None:  # noqa: N802
        del store, begin
        if result:
            self.met["a restore was begun"] += 1
        self.at_step()

    def _Rows(self, store: StateStore, rows: object, result: Any) -> None:  # noqa: N802
        """A piece of a restore: nothing that is read changes by it."""
        del store, rows, result
        self.at_step()

    def _CommitRestore(self, store: StateStore, commit: CommitRestore, result: Any) -> None:  # noqa: N802
        before, now = self._before, self.world.now
        self.at_step()
        assert before is not None, "it is taken before"
        if not result:
            self.met["a restore was refused at its end"] += 1
            return
        archive = self.archives.get(commit.id)
        expect(archive is not None, f"nobody asked for restore {commit.id}")
        assert archive is not None
        judge_restore(before, archive, store.image())
        expect(store.index == result, f"a restore to {result} left the index at {store.index}")
        self.met["a restore took effect"] += 1
        self._locks_end(store)
        was = {name: _value(before, key) for name, key in self.registers.items()}
        found = {name: self.value_of(store, name) for name in self.registers}
        values = {name: value for name, value in found.items() if value != was[name]}
        self.restores.append(Replaced(commit.id, now, values))

    def _locks_end(self, store: StateStore) -> None:
        """After a restore, which was judged: no lock is held, and delays run."""
        rows = store.rows(locks.TABLE)
        for beliefs in self.beliefs.values():
            for belief in beliefs.values():
                belief.covered = belief.delayed
        for lock in self.locks.values():
            self.met["a restore ended a lock"] += bool(lock.holder)
            lock.holder = ""
        for key, row in rows.items():
            lock = self._lock(key)
            if row.modify_index == store.index:  # else it ran before, and goes on
                lock.index, lock.delayed, lock.delay_ns = store.index, True, row.delay_ns
                lock.free_from = self.world.now + self.shortest(row.delay_ns)

    # -- root keys ----------------------------------------------------------------------------

    def _sealed(self, key_id: str, nonce: bytes) -> None:
        """A value was sealed with that key, and nothing else was with the same nonce."""
        expect((key_id, nonce) not in self._nonces, f"a nonce of key {key_id} was used twice")
        self._nonces.add((key_id, nonce))

    def _ReplaceSeals(  # noqa: N802
        self, store: StateStore, again: ReplaceSeals, result: Any
    ) -> None:
        del store
        if result:
            self.met["values were sealed again"] += len(again.rows)
            for each in again.rows:
                self._sealed(again.key_id, each.nonce)

    def _EndPhase(self, store: StateStore, ended: EndPhase, result: Any) -> None:  # noqa: N802
        if not result:
            return
        self.met["a rotation ended"] += 1
        if ended.phase == root_keys.VALUES:
            rows = store.rows(variables.TABLE).values()
            older = {row.key_id for row in rows} - {ended.key_id, ""}
            expect(not older, f"a rotation to {ended.key_id} ended, and {older} are in use")

    def _RemoveRootKey(  # noqa: N802
        self, store: StateStore, asked: RemoveRootKey, result: Any
    ) -> None:
        if result == "":
            self.met["a root key was removed"] += 1
            rows = store.rows(variables.TABLE).values()
            needs = [row.path for row in rows if row.key_id == asked.key_id]
            expect(not needs, f"root key {asked.key_id} was removed, and {needs} need it")


def _plain(command: bytes) -> Any:
    """The command, of a wrapper the one in it."""
    decoded = decode(command, TODAY)
    return decoded.command if isinstance(decoded, Wrapped) else decoded


def _value(image: SnapshotImage, key: str) -> Value | None:
    row = image.tables.get(variables.TABLE, key)
    return None if row is None else Value(row.modify_time, row.modify_index)
