"""Blocking queries, on the namespaces: the only table with readers that block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from api_running import asynchronous, until
from fake_server import FakeServer, answered
from namespace_commands import REGISTRY, DeleteNamespaces, PutNamespaces
from stopwatch import Stopwatch

from quorate.api import blocking
from quorate.api.http.messages import Request, Response
from quorate.errors import NotLeader, StateDamaged
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore

LIST = b"/v1/namespaces"


def server(name: str = "s3", role: str = "leader") -> FakeServer:
    """One whose namespaces change as a later version's will."""
    service = FakeServer(name, role=role)
    service.store = StateStore(REGISTRY)
    return service


def restore(service: FakeServer, names: tuple[str, ...], index: int) -> None:
    """Put a state in place that holds these namespaces; it counts as a restored snapshot."""
    other = StateStore(REGISTRY)
    other.apply(index, encode(PutNamespaces(names=names)))
    service.store.restore(other.image())


def add(service: FakeServer, name: str, index: int) -> None:
    """A namespace is written."""
    service.store.apply(index, encode(PutNamespaces(names=(name,))))


def delete(service: FakeServer, name: str, index: int) -> None:
    """A namespace is deleted."""
    service.store.apply(index, encode(DeleteNamespaces(names=(name,))))


def get(target: bytes) -> Request:
    return Request("GET", target)


@pytest.mark.parametrize(
    "query", [b"", b"?index=0", b"?index=", b"?wait=1h", b"?index=0&wait=1h", b"?stale"]
)
def test_without_an_index_the_answer_comes_at_once(query: bytes) -> None:
    response = FakeServer().application().handle(get(LIST + query))
    assert isinstance(response, Response)
    assert response.header(b"x-nomad-index") == b"1"


def test_an_index_below_the_current_one_is_answered_at_once() -> None:
    """As in the captured case `r3-namespaces-blocking-past`."""
    service = server()
    restore(service, ("team-a",), 23)
    response = service.application().handle(get(LIST + b"?index=22&wait=1h"))
    assert isinstance(response, Response)
    assert response.header(b"x-nomad-index") == b"23"


@pytest.mark.parametrize("index", [b"1", b"999999"])
@asynchronous
async def test_an_index_that_is_current_or_ahead_waits(index: bytes) -> None:
    """As in `r3-namespaces-blocking-timeout` and `misc-index-ahead-blocks`."""
    application = FakeServer().application()
    started, watch = time.monotonic(), Stopwatch()
    response = await answered(application, get(LIST + b"?index=" + index + b"&wait=200ms"))
    assert time.monotonic() - started > 0.19
    assert watch.seconds() < 2
    assert (response.status, response.header(b"x-nomad-index")) == (200, b"1")


@asynchronous
async def test_a_change_ends_the_wait() -> None:
    service = server()
    task = asyncio.ensure_future(answered(service.application(), get(LIST + b"?index=1&wait=1h")))
    await until(lambda: service.store.watching == 1)
    add(service, "team-a", 7)
    response = await task
    assert response.header(b"x-nomad-index") == b"7"
    assert b"team-a" in response.body
    assert service.store.watching == 0


@asynchronous
async def test_a_change_of_another_namespace_does_not_wake_who_waits_for_one() -> None:
    service = server()
    target = b"/v1/namespace/default?index=1&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    add(service, "team-a", 7)
    await asyncio.sleep(0.02)
    assert not task.done()
    add(service, "default", 8)
    assert (await task).header(b"x-nomad-index") == b"8"


@asynchronous
async def test_who_waits_for_a_namespace_that_is_not_there_hears_of_it() -> None:
    service = server()
    target = b"/v1/namespace/team-a?index=1&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    add(service, "team-a", 7)
    response = await task
    assert (response.status, response.header(b"x-nomad-index")) == (200, b"7")


@asynchronous
async def test_a_restored_snapshot_ends_the_wait_though_the_index_goes_back() -> None:
    service = server()
    add(service, "team-a", 50)
    task = asyncio.ensure_future(answered(service.application(), get(LIST + b"?index=50&wait=1h")))
    await until(lambda: service.store.watching == 1)
    restore(service, ("team-b",), 20)
    response = await task
    assert response.header(b"x-nomad-index") == b"20"


@asynchronous
async def test_stale_readers_block_too() -> None:
    service = server("s1", role="lost")
    target = LIST + b"?stale&index=1&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    add(service, "team-a", 7)
    assert (await task).header(b"x-nomad-knownleader") == b"false"
    assert service.barriers == 0


@asynchronous
async def test_the_lead_is_proved_again_after_the_wait() -> None:
    service = server()
    service.leader_application = FakeServer().application()
    target = LIST + b"?index=1&wait=30ms"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    assert service.barriers == 1
    service.barrier_errors = [NotLeader()]
    response = await task
    assert response.status == 200
    assert service.barriers == 3


@asynchronous
async def test_a_client_that_goes_away_leaves_no_watcher() -> None:
    service = server()
    target = LIST + b"?index=1&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    task.cancel()
    await asyncio.wait([task])
    assert service.store.watching == 0


@pytest.mark.parametrize("change", [add, delete])
@asynchronous
async def test_a_change_between_the_query_and_its_task_is_not_missed(
    change: Callable[[FakeServer, str, int], None],
) -> None:
    """A task begins later than it is made: what is applied in between counts."""
    service = server()
    add(service, "team-a", 5)
    target = b"/v1/namespace/team-a?stale&index=5&wait=1h"
    answer = service.application().handle(get(target))
    assert not isinstance(answer, Response)
    change(service, "team-a", 7)
    assert (await answer).header(b"x-nomad-index") == b"7"


@asynchronous
async def test_a_restore_between_the_query_and_its_task_is_not_missed() -> None:
    service = server()
    add(service, "team-a", 50)
    answer = service.application().handle(get(LIST + b"?stale&index=50&wait=1h"))
    assert not isinstance(answer, Response)
    restore(service, ("team-b",), 20)
    assert (await answer).header(b"x-nomad-index") == b"20"


@asynchronous
async def test_a_deletion_ends_the_wait_for_one_and_for_its_prefix() -> None:
    service = server()
    add(service, "team-a", 5)
    one = asyncio.ensure_future(
        answered(service.application(), get(b"/v1/namespace/team-a?index=5&wait=1h"))
    )
    some = asyncio.ensure_future(
        answered(service.application(), get(LIST + b"?prefix=team&index=5&wait=1h"))
    )
    await until(lambda: service.store.watching == 2)
    add(service, "other", 6)
    await asyncio.sleep(0)
    assert service.store.watching == 2
    delete(service, "team-a", 7)
    response = await one
    assert (response.status, response.header(b"x-nomad-index")) == (404, b"7")
    response = await some
    assert (response.body, response.header(b"x-nomad-index")) == (b"[]", b"7")


@pytest.mark.parametrize("target", [b"/v1/namespace/gone?", LIST + b"?prefix=x&"])
@asynchronous
async def test_what_came_before_a_restart_is_answered_at_once_and_then_waits(
    target: bytes,
) -> None:
    """Nobody can tell whether the record was deleted between the client's index and the restart."""
    service = server()
    restore(service, ("team-a",), 23)
    response = service.application().handle(get(target + b"index=22&wait=1h"))
    assert isinstance(response, Response)
    assert response.header(b"x-nomad-index") == b"23"
    add(service, "team-b", 24)
    response = await answered(service.application(), get(target + b"index=23&wait=50ms"))
    assert response.header(b"x-nomad-index") == b"24"  # after the wait: no change for this query


@asynchronous
async def test_a_record_that_was_not_written_since_is_waited_for_after_a_restart() -> None:
    service = server()
    restore(service, ("team-a",), 23)
    add(service, "team-b", 40)
    target = b"/v1/namespace/team-a?index=23&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    add(service, "team-a", 41)
    assert (await task).header(b"x-nomad-index") == b"41"


@asynchronous
async def test_a_wait_on_a_state_that_is_found_damaged_ends_with_the_reason() -> None:
    """The wake-up runs while a command is applied: it must not fail there."""
    service = server()
    damage = StateDamaged("the state of this server is damaged", "restart it")

    def damaged() -> StateStore:
        raise damage

    target = LIST + b"?stale&index=1&wait=1h"
    task = asyncio.ensure_future(answered(service.application(), get(target)))
    await until(lambda: service.store.watching == 1)
    service.readable = damaged  # type: ignore[method-assign]
    add(service, "team-a", 7)
    assert (await task).status == 503


class Impatient:
    """A loop whose timers fire at once; `delays` are those that were asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.delays: list[float] = []

    def create_future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> asyncio.Handle:
        self.delays.append(delay)
        return self._loop.call_soon(call, *args)


def test_clients_that_began_together_do_not_end_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[float]:
        loop = Impatient()
        monkeypatch.setattr(blocking, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))
        for seed in range(8):
            await answered(FakeServer().application(seed=seed), get(LIST + b"?index=1&wait=400ms"))
        return loop.delays

    delays = asyncio.run(scenario())
    assert len(set(delays)) == 8
    assert all(0.4 <= delay <= 0.425 for delay in delays)


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/operator/raft/configuration",
        b"/v1/operator/scheduler/configuration",
        b"/v1/operator/autopilot/configuration",
        b"/v1/status/leader",
        b"/v1/regions",
        b"/v1/agent/members",
    ],
)
def test_endpoints_that_do_not_block_answer_at_once(target: bytes) -> None:
    application = FakeServer().write_defaults().application()
    response = application.handle(get(target + b"?index=999999&wait=1h"))
    assert isinstance(response, Response)
    assert response.status == 200
