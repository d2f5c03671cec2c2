"""Locks and elections of both clients: waiting, renewal, loss that is told at once, release."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from api_running import asynchronous, until

from quorate.client import (
    Answer,
    AsyncElection,
    AsyncLock,
    AsyncVariables,
    ClientError,
    Election,
    Lock,
    LockLost,
    RequestError,
    StatusError,
    Variables,
)
from quorate.client.calls.call import Awaiting, Call, Request, Waiting
from quorate.client.coordination.lock_steps import Held
from quorate.client.steps import carried_out

LOST = RequestError("PUT", "http://x", "connection refused")


class Cluster:
    """The lock of one variable, which refuses as it is told. Times are short."""

    def __init__(self) -> None:
        self.taken = 0  # attempts for which another ID holds it
        self.renewals = 0
        self.trouble: ClientError | None = None  # of renewals
        self.troubles: list[ClientError] = []  # of acquisitions
        self.why = "locked"
        self.released: list[str] = []
        self.waits: list[str] = []
        self.items: Any = None

    def answer(self, request: Request) -> Answer:
        query = dict(request.query)
        body = json.loads(request.body or b"{}")
        lock_id = body.get("Lock", {}).get("ID", "")
        if "index" in query:
            assert query["index"] == "7"
            self.waits.append(query["wait"])
            return Answer(404, "", {"x-nomad-index": "7"}, b"variable not found")
        if "lock-acquire" in query:
            if self.troubles:
                raise self.troubles.pop(0)
            self.items = body.get("Items")
            if self.taken:
                self.taken -= 1
                row = json.dumps({"Path": "a", "ModifyIndex": 7}).encode()
                return Answer(409, "", {"x-quorate-conflict": self.why}, row)
            held = {"Path": "a", "Items": self.items, "Lock": {"ID": lock_id, "Fence": 12}}
            return Answer(200, "", {}, json.dumps(held).encode())
        if "lock-renew" in query:
            self.renewals += 1
            if self.trouble is not None:
                raise self.trouble
        elif "lock-release" in query:
            self.released.append(lock_id)
        else:
            lock = {} if self.released else {"Lock": {"ID": "x"}}
            row = json.dumps({"Path": "a", "Items": self.items, **lock}).encode()
            return Answer(200, "", {}, row)
        return Answer(200, "", {}, b"{}")


class Waits(Waiting):
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def perform(self, call: Call[Any], /) -> Any:
        if "index" in dict(call.request.query):
            threading.Event().wait(0.005)
        return call.read(self.cluster.answer(call.request))


class Awaits(Awaiting):
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def perform(self, call: Call[Any], /) -> Any:
        await asyncio.sleep(0.005 if "index" in dict(call.request.query) else 0)
        return call.read(self.cluster.answer(call.request))


def waiting(cluster: Cluster) -> Variables:
    return Variables(Waits(cluster))


def awaiting(cluster: Cluster) -> AsyncVariables:
    return AsyncVariables(Awaits(cluster))


def test_a_lock_is_lost_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the loop and of waiting stands still meanwhile, that of the leader does not."""
    suspended_s = 0.0
    real = time.clock_gettime
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    monkeypatch.setattr(
        time, "clock_gettime", lambda which: real(which) + suspended_s * (which == clock)
    )
    with Lock(waiting(Cluster()), "a", ttl_s=15) as lock:
        lock.check()
        suspended_s = 20.0
        with pytest.raises(LockLost, match="no renewal was answered in time"):
            lock.check()


# -- steps, with a clock of their own ------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.paused: list[float] = []

    def read(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds


def acquired(cluster: Cluster, clock: Clock, **how: Any) -> Held:
    held = Held("a", clock.read, **how)
    (row,) = carried_out(held.acquiring(), waiting(cluster), clock.pause)
    assert row.lock
    assert row.lock.id == held.id
    return held


@pytest.mark.parametrize(
    ("why", "wait"), [("locked", "10000ms"), ("delay", "1000ms"), ("", "1000ms")]
)
def test_it_waits_for_what_ends_the_other_lock(why: str, wait: str) -> None:
    cluster, clock = Cluster(), Clock()
    cluster.taken, cluster.why = 3, why
    assert acquired(cluster, clock).fence == 12
    assert cluster.waits == [wait] * 3
    cluster.taken = 1
    acquired(cluster, clock, wait_s=0.5)
    assert cluster.waits[3:] == ["500ms"]


def test_failures_while_it_waits_are_waited_for_and_those_before_are_raised() -> None:
    cluster, clock = Cluster(), Clock()
    cluster.troubles = [StatusError(500, "No cluster leader"), LOST, LOST]
    acquired(cluster, clock)
    assert clock.paused == [0.25] * 3
    cluster.troubles = [LOST]
    with pytest.raises(RequestError):
        acquired(cluster, clock)
    cluster.troubles = [StatusError(400, "bad TTL")]
    with pytest.raises(StatusError, match="bad TTL"):
        acquired(cluster, clock)
    cluster.troubles = [StatusError(500, "x")] * 99
    with pytest.raises(TimeoutError, match="not free within 3"):
        acquired(cluster, clock, wait_s=3)


def test_a_renewal_without_an_answer_is_repeated_until_the_ttl_is_over() -> None:
    cluster, clock = Cluster(), Clock()
    held = acquired(cluster, clock, ttl_s=15.0)
    cluster.trouble = LOST
    began = clock.now
    (why,) = carried_out(held.renewing(), waiting(cluster), clock.pause)
    assert "no renewal was answered in time" in str(why)
    assert 15 <= clock.now - began < 15.1
    assert cluster.renewals > 4
    assert held.late()


# -- both clients --------------------------------------------------------------------------------


def test_it_is_held_renewed_and_released() -> None:
    cluster = Cluster()
    cluster.taken = 3
    with Lock(waiting(cluster), "a", ttl_s=0.15) as lock:
        assert lock.fence == 12
        deadline = time.monotonic() + 10
        while cluster.renewals < 5:
            assert time.monotonic() < deadline
            lock.lost.wait(0.005)
        lock.check()
    assert cluster.released == [lock.id]
    assert not lock.lost.is_set()


@asynchronous
async def test_one_of_a_loop_is_held_renewed_and_released() -> None:
    cluster = Cluster()
    cluster.taken = 3
    async with AsyncLock(awaiting(cluster), "a", ttl_s=0.15) as lock:
        assert lock.fence == 12
        await until(lambda: cluster.renewals >= 5)
        lock.check()
    assert cluster.released == [lock.id]
    assert not lock.lost.is_set()


@pytest.mark.parametrize("status", [404, 409])
def test_a_refused_renewal_is_told_at_once(status: int) -> None:
    cluster, told = Cluster(), list[LockLost]()
    cluster.trouble = StatusError(status, "variable doesn't hold a lock")
    with Lock(waiting(cluster), "a", ttl_s=0.15, on_lost=told.append) as lock:
        assert lock.lost.wait(10)
        with pytest.raises(LockLost, match="variable doesn't hold a lock"):
            lock.check()
    assert len(told) == 1
    assert cluster.released == []


@asynchronous
async def test_a_loss_cancels_the_block_which_ends_with_it() -> None:
    cluster, told = Cluster(), list[LockLost]()
    cluster.trouble = StatusError(409, "variable doesn't hold a lock")
    with pytest.raises(LockLost, match="variable doesn't hold a lock"):
        async with AsyncLock(awaiting(cluster), "a", ttl_s=0.15, on_lost=told.append):
            await asyncio.Event().wait()
    assert len(told) == 1
    assert cluster.released == []
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # and nothing is left of it


@asynchronous
async def test_a_loss_that_cancels_nothing_is_an_event() -> None:
    cluster = Cluster()
    cluster.trouble = StatusError(404, "gone")
    async with AsyncLock(awaiting(cluster), "a", ttl_s=0.15, cancel=False) as lock:
        await lock.lost.wait()
        with pytest.raises(LockLost, match="gone"):
            lock.check()


@asynchronous
async def test_a_holder_that_is_cancelled_from_outside_releases_the_lock() -> None:
    cluster, holds = Cluster(), asyncio.Event()

    async def hold() -> None:
        async with AsyncLock(awaiting(cluster), "a", ttl_s=30):
            holds.set()
            await asyncio.Event().wait()

    holder = asyncio.ensure_future(hold())
    await holds.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert len(cluster.released) == 1
    cluster.taken = 10**9
    waiter = asyncio.ensure_future(hold())
    await until(lambda: cluster.taken < 10**9 - 2)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert len(cluster.released) == 2  # an acquisition may have been on its way


def test_without_an_answer_it_is_lost_when_the_ttl_is_over() -> None:
    cluster = Cluster()
    cluster.trouble = LOST
    began = time.monotonic()
    with Lock(waiting(cluster), "a", ttl_s=0.3) as lock:
        assert lock.lost.wait(10)
        assert time.monotonic() - began >= 0.3
        assert cluster.renewals >= 2
        with pytest.raises(LockLost, match="no renewal was answered in time"):
            lock.check()


@asynchronous
async def test_a_loop_that_was_held_up_finds_the_lock_lost() -> None:
    cluster, told = Cluster(), list[LockLost]()
    async with AsyncLock(awaiting(cluster), "a", ttl_s=0.02, on_lost=told.append) as lock:
        time.sleep(0.03)  # noqa: ASYNC251 - what holds it up
        with pytest.raises(LockLost, match="no renewal was answered in time"):
            lock.check()
    assert len(told) == 1


def test_an_error_of_the_cluster_is_no_loss() -> None:
    cluster = Cluster()
    cluster.trouble = StatusError(500, "No cluster leader")
    with Lock(waiting(cluster), "a", ttl_s=30) as lock:
        lock.check()
    assert len(cluster.released) == 1


def test_waiting_ends_with_its_time() -> None:
    cluster = Cluster()
    cluster.taken = 10**9
    with pytest.raises(TimeoutError, match="not free within"):
        Lock(waiting(cluster), "a", wait_s=0.05).__enter__()


@asynchronous
async def test_an_election_says_its_candidate() -> None:
    cluster = Cluster()
    with Election(waiting(cluster), "a", "me", ttl_s=30):
        assert cluster.items == {"leader": "me"}
        assert Election.leader(waiting(cluster), "a") == "me"
        assert await AsyncElection.leader(awaiting(cluster), "a") == "me"
    assert Election.leader(waiting(cluster), "a") == ""
    async with AsyncElection(awaiting(cluster), "a", "she", ttl_s=30):
        assert cluster.items == {"leader": "she"}


def test_the_client_of_commands_needs_no_asyncio() -> None:
    code = "import sys, quorate.client; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
