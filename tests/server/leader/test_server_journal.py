"""The journal of real servers: what is told of their life, and that all of them tell the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from older_registry import registry_of_level
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.levels import LEVEL
from quorate.server.views.journal import JournalEntry, history
from quorate.state.registry import TODAY
from quorate.state.tables import journal

SCHEDULER = "/v1/operator/scheduler/configuration"
TRANSFER = "/v1/operator/raft/transfer-leadership?id="
PEER = "/v1/operator/raft/peer?id="

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


def told(servers: ServerCluster, number: int, *kinds: str) -> list[JournalEntry]:
    """What that server tells, oldest first."""
    return history(servers.running[number].machine.store, kinds=frozenset(kinds))[::-1]


def server_id(servers: ServerCluster, number: int) -> str:
    return servers.running[number].replica.server_id


def levels(servers: ServerCluster) -> set[int]:
    return {server.machine.store.level for server in servers.running.values()}


async def put(servers: ServerCluster, number: int, algorithm: str) -> None:
    body = json.dumps({"SchedulerAlgorithm": algorithm})
    assert (await servers.ask(number, SCHEDULER, "PUT", body)).status == 200


async def last_election(servers: ServerCluster, leader: int) -> JournalEntry:
    """The newest election, once it is that of this leader."""

    def found() -> JournalEntry | None:
        elections = told(servers, leader, journal.ELECTION)
        ours = bool(elections) and elections[-1].subject == server_id(servers, leader)
        return elections[-1] if ours else None

    election = await until(found)
    assert election is not None
    return election


@with_servers()
async def test_the_life_of_a_cluster_is_told_alike_on_all_servers(servers: ServerCluster) -> None:
    first = await servers.leader()
    founded = await last_election(servers, first)
    assert founded.cause == "the cluster was founded"
    ids = {server_id(servers, number): f"s{number}.global" for number in servers.running}
    beginning = told(servers, first)
    assert [(e.kind, e.what) for e in beginning] == [
        ("level", "raised"),
        ("election", "elected"),
        *[("membership", "added")] * 3,
    ]
    assert {(e.subject, e.name) for e in beginning[2:]} == set(ids.items())
    assert {e.by for e in beginning} == {server_id(servers, first)}

    # An operator's settings and hand-over, asked at a follower.
    second = (first + 1) % 3
    await put(servers, second, "spread")
    moved = await servers.ask(first, TRANSFER + server_id(servers, second), "PUT")
    assert moved.status == 200
    election = await last_election(servers, second)
    assert election.cause == "the leader handed over"
    assert dict(election.details)["former leader"] == server_id(servers, first)
    acts = told(servers, second, journal.ACT, journal.SETTING)
    assert [(e.what, e.subject, e.by) for e in acts] == [
        ("changed", "scheduler_configuration", "operator"),
        ("transfer leadership", server_id(servers, second), "operator"),
    ]
    assert ("scheduler_algorithm", "binpack -> spread") in acts[0].details

    # The leader ends; another one is elected, and an operator removes the dead one by force.
    await servers.stop(second)
    third = await servers.leader()
    lost = await last_election(servers, third)
    assert lost.cause in {"the connections to the leader ended", "the leader was not heard"}
    dead = next(each for each, name in ids.items() if name == f"s{second}.global")
    assert dict(lost.details)["former leader"] == dead
    gone = await servers.ask(third, f"{PEER}{dead}&force", "DELETE")
    assert gone.status == 200
    removed = await until(
        lambda: [e for e in told(servers, third, journal.MEMBERSHIP) if e.what == "removed"]
    )
    assert [(e.subject, e.cause) for e in removed] == [(dead, "removed by an operator by force")]
    act = told(servers, third, journal.ACT)[-1]
    assert (act.what, act.subject, act.force) == ("remove", dead, True)
    assert act.details == (("removed", "false -> true"),)

    index = servers.running[third].machine.store.applied_index
    stores = [server.machine.store for server in servers.running.values()]
    await until(lambda: all(store.applied_index >= index for store in stores))
    assert history(stores[0], most=9999) == history(stores[1], most=9999)


@with_servers()
async def test_a_removal_that_is_refused_is_told_with_the_reason(servers: ServerCluster) -> None:
    leader = await servers.leader()
    await last_election(servers, leader)
    dead, other = ((leader + step) % 3 for step in (1, 2))
    other_id = server_id(servers, other)
    await servers.stop(dead)
    refused = await servers.ask(leader, PEER + other_id, "DELETE")
    assert refused.status != 200
    acts = told(servers, leader, journal.ACT)
    assert [(e.what, e.subject, e.force) for e in acts] == [
        ("remove", other_id, False),
        ("removal refused", other_id, False),
    ]
    assert "voters" in acts[1].cause


@with_servers(registry=registry_of_level(1))
async def test_nothing_is_told_before_all_servers_know_how(servers: ServerCluster) -> None:
    """The last server of level 1 follows, and never meets what it cannot read."""
    await until(lambda: levels(servers) == {1})
    leader = await servers.leader()
    order = [(leader + 1) % 3, (leader + 2) % 3, leader]
    for number in order[:2]:
        await servers.stop(number)
        servers.options["registry"] = TODAY
        await servers.start(number)
        await servers.leader()
    new = order[0]
    if await servers.leader() == leader:
        target = server_id(servers, new)
        assert (await servers.ask(leader, TRANSFER + target, "PUT")).status == 200
    await until(lambda: servers.running[leader].leadership.leader_address() != "")
    await put(servers, new, "spread")
    ahead = servers.running[await servers.leader()]
    await until(lambda: bool(ahead.level_gate.waiting))
    await until(lambda: levels(servers) == {1})
    for server in servers.running.values():
        store = server.machine.store
        assert (store.level, history(store), store.table_index("journal")) == (1, [], 0)
        assert server.replica.held is None

    await servers.stop(leader)
    await servers.start(leader)
    await until(lambda: levels(servers) == {LEVEL})
    leads = await servers.leader()
    begun = await until(lambda: told(servers, leads))
    assert (begun[0].kind, dict(begun[0].details)) == ("level", {"to": str(LEVEL)})
    assert [e.cause for e in begun if e.kind == journal.MEMBERSHIP] == ["the journal begins"] * 3
