"""Acts at real servers: who did them is in the journal of all, whichever server was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import Request, Response
from quorate.levels import LEVEL
from quorate.state.tables import journal
from quorate.state.tables.journal import ACT, SETTING, JournalRecord, newest_first

SCHEDULER = "/v1/operator/scheduler/configuration"

Scenario = Callable[[ServerCluster], Awaitable[None]]


def run_with_servers(folder: Path, scenario: Scenario, count: int = 3) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(folder, count) as servers:
            await until(
                lambda: {s.machine.store.level for s in servers.running.values()} == {LEVEL}
            )
            await scenario(servers)
            assert not servers.fatal

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def told(servers: ServerCluster, number: int, what: str) -> list[JournalRecord]:
    records = newest_first(servers.running[number].machine.store)
    return [each for each in records if each.what == what and each.kind in {ACT, SETTING}]


async def ask(
    servers: ServerCluster, number: int, method: str, target: str, body: str = ""
) -> Response:
    """Asked by a client at an address of its own."""
    request = Request(method, target.encode(), body=body.encode(), remote="10.9.8.7:4321")
    answer = servers.applications[number].handle(request)
    return answer if isinstance(answer, Response) else await answer


def test_acts_are_told_with_their_caller_once_by_whichever_server_they_came(tmp_path: Path) -> None:
    async def scenario(servers: ServerCluster) -> None:
        leader = await servers.leader()
        follower, other = ((leader + step) % 3 for step in (1, 2))
        body = json.dumps({"SchedulerAlgorithm": "spread"})
        # In the entry of the command, asked of the leader and of a follower.
        assert (await ask(servers, leader, "PUT", SCHEDULER, body)).status == 200
        namespace = "/v1/namespace/team"
        assert (await ask(servers, follower, "PUT", namespace, '{"Name": "team"}')).status == 200
        # Without a command: at the server that is asked, and at the leader.
        assert (await ask(servers, other, "PUT", "/v1/operator/raft/compact")).status == 200
        stores = [server.machine.store for server in servers.running.values()]
        wanted = ("changed", "write a namespace", "compact the log")
        await until(lambda: all(told(servers, n, w) for n in range(3) for w in wanted))
        for what in wanted:
            (record,) = told(servers, other, what)
            assert (record.address, record.outcome) == ("10.9.8.7:4321", "done"), what
        assert told(servers, other, "write a namespace")[0].subject == "team"
        assert (
            told(servers, other, "compact the log")[0].by
            == servers.running[other].replica.server_id
        )
        # What changes nothing says so.
        assert (await ask(servers, follower, "PUT", SCHEDULER + "?cas=1", body)).status == 200
        await until(lambda: len(told(servers, other, "changed")) == 2)
        assert told(servers, other, "changed")[0].outcome == "no change"
        index = max(store.applied_index for store in stores)
        await until(lambda: all(store.applied_index >= index for store in stores))
        assert len({journal.head(store) for store in stores}) == 1
        answer = await ask(servers, follower, "GET", "/v1/operator/autopilot/health")
        assert json.loads(answer.body)["AuditHead"] == journal.head(stores[0]).hex()

    run_with_servers(tmp_path, scenario)


@pytest.mark.long
def test_what_was_done_without_a_leader_is_entered_after_a_restart(tmp_path: Path) -> None:
    async def scenario(servers: ServerCluster) -> None:
        leader = await servers.leader()
        others = [number for number in range(3) if number != leader]
        for number in others:
            await servers.stop(number)
        await until(lambda: not servers.running[leader].leadership.leader_address())
        assert (await ask(servers, leader, "PUT", "/v1/operator/raft/compact")).status == 200
        refused = await ask(servers, leader, "PUT", SCHEDULER, "{}")
        assert refused.status == 500  # nobody leads: it is no act
        await servers.stop(leader)
        for number in range(3):
            await servers.start(number)
        await servers.leader()
        await until(lambda: told(servers, others[0], "compact the log"))
        (record,) = told(servers, others[0], "compact the log")
        assert record.source.endswith("/0")
        assert (record.address, record.outcome) == ("10.9.8.7:4321", "done")
        assert told(servers, others[0], "changed") == []

    run_with_servers(tmp_path, scenario)
