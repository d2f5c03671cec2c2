"""Clients that send much ahead get their turns, and the rest of the server gets its own."""

from __future__ import annotations

import asyncio

import pytest
from api_running import asynchronous, until
from api_server import connected, get, serving
from fake_server import FakeServer

from quorate.api.http.turns import TURN_S, WORK_S, Turns

LEADER = "/v1/status/leader"
CLOCK = "quorate.api.http.turns.monotonic"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(CLOCK, lambda: self.now)

    def serve(self, turns: Turns, seconds: float) -> None:
        turns.began = self.now
        self.now += seconds
        turns.spend()


def test_one_client_may_take_so_long_and_all_of_a_turn_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)

    async def story() -> None:
        turns = Turns(asyncio.get_running_loop())
        turns.began = clock.now
        assert not turns.over()
        clock.now += 1.1 * WORK_S
        assert turns.over()
        turns.spend()
        for _ in range(4):
            clock.serve(turns, 0.9 * WORK_S)
        turns.began = clock.now
        assert turns.over(), "many clients have had their parts of this turn"
        assert turns.spent > TURN_S
        await asyncio.sleep(0)
        assert not turns.over(), "another turn of the loop"

    asyncio.run(story())


def test_works_that_wait_are_done_in_their_order_some_in_each_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)

    async def story() -> None:
        turns = Turns(asyncio.get_running_loop())
        done: list[int] = []

        def work(number: int) -> None:
            done.append(number)
            clock.now += 0.6 * WORK_S

        for number in range(10):
            turns.put(lambda number=number: work(number))  # type: ignore[misc]  # bound now
        assert not done
        await asyncio.sleep(0)
        assert done == [0, 1]
        for _ in range(4):
            await asyncio.sleep(0)
        assert done == list(range(10))

    asyncio.run(story())


def test_a_request_waits_only_while_others_have_used_the_turn_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)

    async def story() -> None:
        turns = Turns(asyncio.get_running_loop())
        for coroutine in (turns.come(), turns.come()):
            with pytest.raises(StopIteration):
                coroutine.send(None)
        clock.serve(turns, 2 * TURN_S)
        later = turns.come()
        waits_for = later.send(None)
        assert not waits_for.done()
        await asyncio.sleep(0)
        assert waits_for.done()
        with pytest.raises(StopIteration):
            later.send(None)

    asyncio.run(story())


@asynchronous
async def test_all_is_answered_in_order_when_every_request_takes_too_long() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quorate.api.http.turns.WORK_S", -1.0)
        async with serving(FakeServer().application()) as served:
            async with connected(served.port) as one, connected(served.port) as other:
                one.send(get(LEADER) * 2000)
                other.send(get(LEADER) * 500)
                await other.same_answers(500)
                await one.same_answers(2000)
            await until(lambda: served.listener.connections == 0)
