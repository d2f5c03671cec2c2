"""`Lock` and `Election`: waiting, renewal, loss that is told at once, release."""

from __future__ import annotations

import threading
import time

import pytest

from quorate.client import Election, Lock, LockLost, StatusError, Variable, VariableConflict
from quorate.client.errors import RequestError
from quorate.client.variables import Variables
from quorate.shapes.variables import VariableLock


class Fake(Variables):
    """Variables in memory, which refuse as they are told. Times are short."""

    def __init__(self) -> None:
        self.taken = 0  # attempts for which another ID holds it
        self.renewals = 0
        self.refusal: Exception | None = None
        self.released: list[str] = []
        self.items: object = None

    def acquire(self, path: str, lock_id: str = "", **more: object) -> Variable:
        self.items = more["items"]
        if self.taken:
            self.taken -= 1
            raise VariableConflict(Variable(path=path, modify_index=7))
        return Variable(path=path, lock=VariableLock(id=lock_id, fence=12))

    def renew(self, path: str, lock_id: str, **_: object) -> None:
        del path, lock_id
        self.renewals += 1
        if self.refusal is not None:
            raise self.refusal

    def release(self, path: str, lock_id: str, **_: object) -> None:
        self.released.append(f"{path} {lock_id}")

    def await_change(self, path: str, index: int, **_: object) -> None:
        assert index == 7
        threading.Event().wait(0.005)


def until(condition: object, timeout_s: float = 10.0) -> None:
    assert isinstance(condition, threading.Event)
    assert condition.wait(timeout_s)


def test_it_is_held_renewed_and_released() -> None:
    fake = Fake()
    fake.taken = 3
    with Lock(fake, "a", ttl_s=0.15) as lock:
        assert lock.fence == 12
        deadline = time.monotonic() + 10
        while fake.renewals < 5:
            assert time.monotonic() < deadline
            lock.lost.wait(0.005)
        lock.check()
    assert fake.released == [f"a {lock.id}"]
    assert not lock.lost.is_set()


@pytest.mark.parametrize("status", [404, 409])
def test_a_refused_renewal_is_told_at_once(status: int) -> None:
    fake, told = Fake(), list[LockLost]()
    fake.refusal = StatusError(status, "variable doesn't hold a lock")
    with Lock(fake, "a", ttl_s=0.15, on_lost=told.append) as lock:
        until(lock.lost)
        with pytest.raises(LockLost, match="variable doesn't hold a lock"):
            lock.check()
    assert len(told) == 1
    assert fake.released == []


def test_without_an_answer_it_is_lost_when_the_ttl_is_over() -> None:
    fake = Fake()
    fake.refusal = RequestError("PUT", "http://x", "connection refused")
    began = time.monotonic()
    with Lock(fake, "a", ttl_s=0.3) as lock:
        until(lock.lost)
        assert time.monotonic() - began >= 0.3
        assert fake.renewals >= 2
        with pytest.raises(LockLost, match="no renewal was answered in time"):
            lock.check()


def test_an_error_of_the_cluster_is_no_loss() -> None:
    fake = Fake()
    fake.refusal = StatusError(500, "No cluster leader")
    with Lock(fake, "a", ttl_s=30) as lock:
        lock.check()
    assert len(fake.released) == 1


def test_waiting_ends_with_its_time() -> None:
    fake = Fake()
    fake.taken = 10**9
    with pytest.raises(TimeoutError, match="not free within"):
        Lock(fake, "a", wait_s=0.05).__enter__()


def test_an_election_says_its_candidate() -> None:
    fake = Fake()
    with Election(fake, "a", "me", ttl_s=30):
        assert fake.items == {"leader": "me"}
    fake.get = lambda *_, **__: Variable(items={"leader": "me"}, lock=VariableLock(id="x"))
    assert Election.leader(fake, "a") == "me"
    fake.get = lambda *_, **__: Variable(items={"leader": "me"})
    assert Election.leader(fake, "a") == ""
