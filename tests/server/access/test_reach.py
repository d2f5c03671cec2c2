"""Which live servers have not applied an entry yet."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Server, Suffrage
from quorate.server.access.reach import PATIENCE_S, AppliedAnswer, Reach


class World:
    """A leader, s0, and two others; `applied` by ID, or why they do not answer."""

    def __init__(self) -> None:
        self.applied: dict[str, int | QuorateError] = {"s1": 9, "s2": 9}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.server_id = "s0"

    def reach(self) -> Reach:
        replica: Any = self
        directory: Any = SimpleNamespace(by_id=self.by_id)
        callers: Any = SimpleNamespace(call=self.call)
        return Reach(replica, directory, callers)

    @property
    def node(self) -> Any:
        members = [
            Server(suffrage=Suffrage.VOTER, id=each, address=f"10.0.0.{each[1:]}:4647")
            for each in ("s0", "s1", "s2")
        ]
        peers = {
            each: SimpleNamespace(contact_at=-1000.0 if each in self.silent else 0.0)
            for each in ("s1", "s2")
        }
        return SimpleNamespace(
            configuration=SimpleNamespace(servers=members),
            leader=SimpleNamespace(peers=peers),
            settings=SimpleNamespace(election_timeout_s=1.0),
        )

    def now(self) -> float:
        return 0.5

    def by_id(self, server_id: str) -> Any:
        return SimpleNamespace(identity=SimpleNamespace(node=f"{server_id}.global"))

    async def call(self, address: str, *_: object, server_id: str) -> AppliedAnswer:
        await asyncio.sleep(0)
        assert address.startswith("10.0.0.")
        self.asked.append(server_id)
        found = self.applied[server_id]
        if isinstance(found, QuorateError):
            raise found
        if self.asked.count(server_id) > 2:
            self.applied[server_id] = found + 1
        return AppliedAnswer(found)


def behind(world: World, index: int) -> tuple[str, ...]:
    return asyncio.run(world.reach().behind(index))


def test_none_is_behind_that_has_applied_it() -> None:
    world = World()
    assert behind(world, 9) == ()
    assert sorted(world.asked) == ["s1", "s2"]


def test_one_that_comes_to_it_soon_is_waited_for() -> None:
    world = World()
    assert behind(world, 11) == ()
    assert world.asked.count("s1") > 2


def test_one_that_does_not_is_named_and_one_that_is_away_is_not() -> None:
    world = World()
    world.applied["s1"] = QuorateError("it cannot say")
    world.applied["s2"] = 3
    world.silent = {"s2"}
    assert behind(world, 9) == ("s1.global",)
    assert "s2" not in world.asked
    assert PATIENCE_S < 1
