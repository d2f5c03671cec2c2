"""Locks: one holder at a time, fencing numbers that rise, expiries that lose to renewals."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.autopilot.deciders.expiring import Memory, expiring
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.rules import restored
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables import locks
from quorate.state.tables.locks import AcquireLock, ExpireLock, LockRow, ReleaseLock, RenewLock
from quorate.state.tables.variables import (
    Conflict,
    DeleteVariable,
    Operation,
    PutVariable,
    Sealed,
    Variable,
    Why,
    WriteVariables,
    by_path,
    key_of,
)

SECOND = 1_000_000_000


class State:
    """A store, and the next index."""

    def __init__(self) -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=3))

    def apply(self, command: Command) -> object:
        return self.store.apply(self.store.applied_index + 1, encode(command))

    def acquire(
        self, lock_id: str, *, data: bytes = b"x", keep: bool = False, delay_s: int = 5
    ) -> object:
        return self.apply(
            AcquireLock(
                namespace="default",
                path="a",
                time_ns=1,
                lock_id=lock_id,
                ttl_ns=10 * SECOND,
                delay_ns=delay_s * SECOND,
                data=data,
                keep=keep,
            )
        )

    def renew(self, lock_id: str) -> object:
        return self.apply(RenewLock(namespace="default", path="a", lock_id=lock_id))

    def release(self, lock_id: str) -> object:
        return self.apply(ReleaseLock(namespace="default", path="a", time_ns=2, lock_id=lock_id))

    def expire(self, since: int) -> object:
        return self.apply(ExpireLock(namespace="default", path="a", since=since, time_ns=3))

    def put(self, data: bytes, lock_id: str = "") -> object:
        return self.apply(
            PutVariable(namespace="default", path="a", time_ns=1, data=data, lock_id=lock_id)
        )

    @property
    def variable(self) -> Variable | None:
        return by_path(self.store, "default", "a")

    @property
    def row(self) -> LockRow | None:
        return self.store.get(locks.TABLE, key_of("default", "a"))


def why(result: object) -> Why | None:
    return result.why if isinstance(result, Conflict) else None


def test_one_holds_it_and_only_that_one_writes() -> None:
    state = State()
    held = state.acquire("one")
    assert isinstance(held, Variable)
    assert (held.lock_id, held.lock_fence) == ("one", held.modify_index)
    assert why(state.acquire("two")) is Why.LOCKED
    assert why(state.put(b"y")) is Why.LOCKED
    assert why(state.put(b"y", "two")) is Why.LOCKED
    assert why(state.apply(DeleteVariable(namespace="default", path="a"))) is Why.LOCKED
    written = state.put(b"y", "one")
    assert isinstance(written, Variable)
    assert (written.lock_id, written.lock_fence) == ("one", held.lock_fence)
    assert why(state.release("two")) is Why.LOCKED
    freed = state.release("one")
    assert isinstance(freed, Variable)
    assert (freed.lock_id, freed.data) == ("", b"y")
    assert state.row is None
    later = state.acquire("two", keep=True)
    assert isinstance(later, Variable)
    assert later.lock_fence > held.lock_fence
    assert later.data == b"y"


def test_a_repeated_acquire_is_a_renewal_and_a_renewal_changes_no_variable() -> None:
    state = State()
    held = state.acquire("one")
    row = state.row
    assert row is not None
    assert state.acquire("one", data=b"z") == held == state.renew("one") == state.variable
    assert state.row is not None
    assert state.row.modify_index == row.modify_index + 2


def test_renewing_what_is_not_held() -> None:
    state = State()
    assert why(state.renew("one")) is Why.MISSING
    state.put(b"x")
    assert why(state.renew("one")) is why(state.release("one")) is Why.NOT_HELD
    assert why(state.put(b"x", "one")) is Why.LOCKED, "it named a lock that it does not hold"


def test_an_expiry_loses_to_a_renewal_and_begins_the_delay() -> None:
    state = State()
    state.acquire("one")
    assert state.row is not None
    first = state.row.modify_index
    state.renew("one")
    assert state.expire(first) is False
    assert state.row.lock_id == "one"
    assert state.expire(state.row.modify_index) is True
    assert state.variable is not None
    assert state.variable.lock_id == ""
    assert why(state.acquire("two")) is why(state.acquire("one")) is Why.DELAY
    assert why(state.renew("one")) is Why.NOT_HELD
    assert why(state.put(b"y", "one")) is Why.LOCKED
    # A deletion does not shorten the delay.
    state.apply(DeleteVariable(namespace="default", path="a"))
    assert why(state.acquire("two")) is Why.DELAY
    assert state.row is not None
    assert state.expire(state.row.modify_index) is True
    assert isinstance(state.acquire("two"), Variable)


def test_a_lock_without_a_delay_is_free_at_once() -> None:
    state = State()
    state.acquire("one", delay_s=0)
    assert state.row is not None
    state.expire(state.row.modify_index)
    assert isinstance(state.acquire("two"), Variable)


def test_several_writes_may_depend_on_a_lock() -> None:
    state = State()
    state.acquire("one")
    other = Operation(namespace="default", path="b", items=Sealed(b"x"))
    for lock_id, done in (("two", False), ("one", True)):
        check = Operation(namespace="default", path="a", only_check=True, lock_id=lock_id)
        result = state.apply(WriteVariables(time_ns=1, operations=(other, check)))
        assert isinstance(result, tuple) is done
        assert (by_path(state.store, "default", "b") is not None) is done
    unlocked = Operation(namespace="default", path="a", items=Sealed(b"y"))
    assert why(state.apply(WriteVariables(time_ns=1, operations=(unlocked,)))) is Why.LOCKED


def test_after_a_restore_no_lock_is_held_and_delays_run() -> None:
    live, archive = State(), State()
    archive.acquire("one")
    assert archive.row is not None
    image = archive.store.image()
    live.apply(DeleteVariable(namespace="default", path="none"))
    done = restored(live.store.image(), image, 100, TODAY)
    live.store.restore(done.image)
    assert live.variable is not None
    assert live.variable.lock_id == ""
    assert live.row is not None
    assert (live.row.lock_id, live.row.modify_index) == ("", 100)
    live.store.apply(101, encode(ExpireLock(namespace="default", path="a", since=100, time_ns=1)))
    assert live.row is None


def test_a_leader_counts_from_when_it_saw_the_last_renewal() -> None:
    state = State()
    state.acquire("one")

    def rows() -> dict[str, LockRow]:
        return dict(state.store.rows(locks.TABLE))

    seen: Memory
    seen, over = expiring(rows(), {}, 100.0)
    assert not over
    assert expiring(rows(), seen, 109.9)[1] == []
    state.renew("one")
    seen, over = expiring(rows(), seen, 109.9)
    assert expiring(rows(), seen, 119.8)[1] == []
    _, over = expiring(rows(), seen, 119.9)
    assert [row.lock_id for row in over] == ["one"]
    # Another leader has seen nothing: the TTL begins again.
    assert expiring(rows(), {}, 119.9)[1] == []
    state.expire(over[0].modify_index)
    seen, over = expiring(rows(), seen, 120.0)
    assert not over
    assert expiring(rows(), seen, 124.9)[1] == []
    assert len(expiring(rows(), seen, 125.0)[1]) == 1


IDS = st.sampled_from(["one", "two"])
STEPS = st.one_of(
    st.tuples(st.just("acquire"), IDS),
    st.tuples(st.just("renew"), IDS),
    st.tuples(st.just("release"), IDS),
    st.tuples(st.just("expire"), st.just("")),
    st.tuples(st.just("put"), st.sampled_from(["", "one", "two"])),
    st.tuples(st.just("delete"), st.just("")),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_one_holds_it_and_fences_rise(steps: list[tuple[str, str]]) -> None:
    state, fence, holder = State(), 0, ""
    for step, lock_id in steps:
        row = state.row
        match step:
            case "acquire":
                result = state.acquire(lock_id)
                assert isinstance(result, Variable) is (holder == lock_id or row is None)
            case "renew":
                assert isinstance(state.renew(lock_id), Variable) is (holder == lock_id)
            case "release":
                assert isinstance(state.release(lock_id), Variable) is (holder == lock_id)
            case "expire":
                assert state.expire(row.modify_index if row else 0) is (row is not None)
            case "put":
                assert isinstance(state.put(b"y", lock_id), Variable) is (holder == lock_id)
            case "delete":
                result = state.apply(DeleteVariable(namespace="default", path="a"))
                assert (result is None) is (holder == "")
        after = state.variable
        held = after.lock_id if after is not None else ""
        if held and held != holder:
            assert after is not None
            assert after.lock_fence > fence
            fence = after.lock_fence
        holder = held
        if holder:
            assert state.row is not None
            assert state.row.lock_id == holder
    assert not state.store.changed_in_memory()
