"""Joining by a list: what answers is used at once, whatever the other addresses do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from quorate.errors import QuorateError
from quorate.pool.results import JoinResult
from quorate.pool.search import Search

SLOW = "hangs.example:4648"


class Joining:
    """The joins of a pool: `SLOW` ends with `ended`, the others are as `up` says."""

    def __init__(self, *up: str) -> None:
        self.up = set(up)
        self.asked: Counter[str] = Counter()
        self.ended = asyncio.get_running_loop().create_future()

    async def __call__(self, group: list[str]) -> JoinResult:
        self.asked.update(group)
        if SLOW in group:
            await self.ended
        joined = [text for text in group if text in self.up]
        failures = tuple((text, f"Failed to join {text}") for text in group if text not in self.up)
        return JoinResult(len(joined), failures)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


def test_one_that_answers_is_joined_while_a_name_hangs() -> None:
    async def scenario() -> None:
        joining = Joining("good.example:4648")
        search = Search(joining, [SLOW, "good.example:4648", "10.0.0.1:4648"])
        result = await search.round()
        assert result.count == 1
        assert "has not answered yet" in dict(result.failures)[SLOW]
        early = search.tried_all
        assert not early, "what hangs may be a server of a cluster"
        joining.ended.set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert search.tried_all
        search.stop()

    run(scenario())


def test_the_others_are_tried_again_while_a_name_hangs() -> None:
    async def scenario() -> None:
        joining = Joining()
        search = Search(joining, [SLOW, "10.0.0.1:4648", "10.0.0.2:4648"])
        assert (await search.round()).count == 0
        joining.up.add("10.0.0.1:4648")
        assert (await search.round()).count == 1
        assert joining.asked == {SLOW: 1, "10.0.0.1:4648": 2, "10.0.0.2:4648": 2}
        search.stop()

    run(scenario())


def test_a_patient_round_waits_for_all_unless_one_is_joined() -> None:
    async def scenario() -> None:
        joining = Joining()
        search = Search(joining, [SLOW, "10.0.0.1:4648"])
        waiting = asyncio.ensure_future(search.round(patient=True))
        done, _ = await asyncio.wait([waiting], timeout=1.2)
        assert not done
        joining.ended.set_result(None)
        assert len((await waiting).failures) == 2
        assert search.tried_all

    run(scenario())


def test_an_error_ends_the_search() -> None:
    async def scenario() -> None:
        async def fails(_: list[str]) -> JoinResult:
            raise QuorateError("the pool was stopped")

        with pytest.raises(QuorateError, match="stopped"):
            await Search(fails, ["10.0.0.1:4648"]).round()

    run(scenario())
