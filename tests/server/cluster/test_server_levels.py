"""Servers of several versions in one cluster: when the level rises, and what it keeps out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import uvloop
from older_registry import registry_of_level
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.errors import LevelTooLow, NotReached
from quorate.levels import LEVEL
from quorate.server.leader.level import LevelGate
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.server import Server
from quorate.server.views.raft import ViewRequest
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.registry import Registry
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command, Tables
from quorate.state.registry import LOOSE_COMMANDS, TABLES, TODAY
from quorate.state.tables.variables import DeleteVariable

UPGRADE = "/v1/operator/upgrade"
REGISTER = "/v1/operator/scheduler/configuration"


class Later(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 100
    LEVEL: ClassVar[int] = 5

    def apply(self, tables: Tables, index: int) -> bool:
        return True


OLD = registry_of_level(0)
NEXT = Registry(level=5, tables=TABLES, commands=(*LOOSE_COMMANDS, Later), versions={5: "0.2.0"})

Scenario = Callable[[ServerCluster], Awaitable[None]]


def with_servers(**options: Any) -> Callable[[Scenario], Callable[[Path], None]]:
    """Run the scenario as a test, with three servers."""

    def decorate(scenario: Scenario) -> Callable[[Path], None]:
        def test(tmp_path: Path) -> None:
            async def run() -> None:
                async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, **options) as servers:
                    await scenario(servers)
                    assert not servers.fatal

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())

        test.__doc__ = scenario.__doc__
        return test

    return decorate


def levels(servers: ServerCluster) -> set[int]:
    return {server.cluster.own().cluster_level for server in servers.running.values()}


async def restart_as(servers: ServerCluster, number: int, registry: Registry) -> None:
    """Upgrade or downgrade one server."""
    await servers.stop(number)
    servers.options["registry"] = registry
    await servers.start(number)
    await servers.leader()


async def check(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(await server.cluster.upgrade_check())
    return found


@with_servers()
async def test_a_fresh_cluster_comes_to_the_newest_level_at_once(servers: ServerCluster) -> None:
    await until(lambda: levels(servers) == {LEVEL})
    found = json.loads((await servers.ask(1, UPGRADE)).body)
    assert (found["Level"], found["Goal"]) == (LEVEL, LEVEL)
    assert {row["Level"] for row in found["Servers"]} == {LEVEL}
    assert [row["Leader"] for row in found["Servers"]] == [False, False, True]
    assert all(not row["Waits"] and not row["Held"] for row in found["Servers"])


@with_servers(registry=OLD)
async def test_the_level_rises_only_after_the_last_server_is_upgraded(
    servers: ServerCluster,
) -> None:
    leader = await servers.leader()
    order = [(leader + 1) % 3, (leader + 2) % 3, leader]
    for number in order[:2]:
        await restart_as(servers, number, NEXT)
        found = await check(servers.running[number])
        assert (found["Level"], found["Goal"]) == (0, 5)
        assert f"s{leader}.global" in {r["Node"] for r in found["Servers"] if r["Waits"]}
        assert (await servers.ask(number, REGISTER, "PUT", "{}")).status == 200
    # One of the new ones leads, and may not write what the old one cannot read.
    await servers.stop(leader)
    ahead = servers.running[await servers.leader()]
    await until(lambda: bool(ahead.level_gate.waiting))
    with pytest.raises(LevelTooLow) as refused:
        await ahead.writes.apply(encode(Later()))
    assert "this needs level 5" in refused.value.text
    assert "the cluster is of level 0" in refused.value.text
    assert "it has not been heard lately" in refused.value.text
    assert "upgrade check" in refused.value.next_step
    assert levels(servers) == {0}
    servers.options["registry"] = OLD
    await servers.start(leader)
    await until(lambda: any("level 0 only" in one.why for one in ahead.level_gate.waiting))
    assert levels(servers) == {0}
    await restart_as(servers, leader, NEXT)
    await until(lambda: levels(servers) == {5})
    now = servers.running[await servers.leader()]
    _, result = await now.writes.apply(encode(Later()))
    assert result is True


@with_servers(registry=NEXT)
async def test_a_downgraded_server_holds_and_names_what_it_needs(servers: ServerCluster) -> None:
    await until(lambda: levels(servers) == {5})
    odd = (await servers.leader() + 1) % 3
    servers.options["registry"] = Registry(tables=TABLES, commands=LOOSE_COMMANDS)
    await servers.stop(odd)
    await servers.start(odd)
    await until(lambda: servers.running[odd].agent.health_problem() is not None)
    health = servers.running[odd].agent.health_problem() or ""
    assert "it raises the cluster to feature level 5" in health
    assert "upgrade this server to level 5 (Quorate 0.2.0) or later" in health
    assert (await servers.ask(odd, REGISTER + "?stale")).status in {200, 500}
    assert (await servers.ask(odd, REGISTER, "PUT", "{}")).status == 200  # by the leader
    found = await check(servers.running[(odd + 1) % 3])
    assert [row["Node"] for row in found["Servers"] if row["Held"]] == [f"s{odd}.global"]
    views = json.loads((await servers.ask(odd, "/v1/operator/raft/views")).body)["Servers"]
    assert [view["Node"] for view in views if "feature level 5" in view["Held"]] == [
        f"s{odd}.global"
    ]
    await restart_as(servers, odd, NEXT)
    await until(lambda: servers.running[odd].agent.health_problem() is None)
    await until(lambda: levels(servers) == {5})


@with_servers()
async def test_a_server_below_the_level_is_not_taken_in(servers: ServerCluster) -> None:
    await until(lambda: levels(servers) == {LEVEL})
    leader = servers.running[await servers.leader()]
    joiner = msgspec.structs.replace(
        leader.identity(), id="old", name="s9", address="127.0.0.1:9", version="0.0.9", level=0
    )
    peer = servers.peer("old", "127.0.0.1:9")
    said = await leader.answers.answer("join", msgspec.json.encode(joiner), peer)
    answer = msgspec.json.decode(said)
    assert not answer["member"]
    assert answer["why"] == (
        "s9.global (old) runs Quorate 0.0.9, which knows feature level 0, and this cluster is of "
        "level 4 (Quorate 0.1.0): upgrade it to that or later"
    )
    assert len(leader.replica.node.configuration.servers) == 3


def test_below_level_3_no_variable_is_written() -> None:
    store = StateStore(TODAY)
    gate = LevelGate(store)
    write = encode(DeleteVariable(namespace="default", path="a"))
    store.apply(1, encode(RaiseLevel(level=2)))
    refused = gate.refusal(write)
    assert refused is not None
    assert refused.text.startswith("this needs level 3 (Quorate 0.1.0 before level 4), and ")
    store.apply(2, encode(RaiseLevel(level=3)))
    assert gate.refusal(write) is None


def test_a_call_of_a_later_level_is_not_asked_below_it() -> None:
    """Port 1 answers nothing, so what is asked fails otherwise."""

    async def run() -> None:
        pool, level = HttpPool(), 1
        callers = Callers(pool, lambda: level, {"later": 2})
        greeting = ViewRequest()
        with pytest.raises(LevelTooLow, match="the call later needs level 2"):
            await callers.call("127.0.0.1:1", "later", greeting, ViewRequest)
        level = 2
        with pytest.raises(NotReached):
            await callers.call("127.0.0.1:1", "later", greeting, ViewRequest)
        pool.close()

    asyncio.run(run())
