"""`/v1/operator/autopilot/health` of real servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from server_cluster import ServerCluster, cluster

HEALTH = "/v1/operator/autopilot/health"


async def health_of(servers: ServerCluster, number: int, status: int) -> Any:
    """The health as that server answers it, once it has this status."""
    deadline = asyncio.get_running_loop().time() + 20
    while (answer := await servers.ask(number, HEALTH)).status != status:
        assert asyncio.get_running_loop().time() < deadline, answer.body
        await asyncio.sleep(0.02)
    return msgspec.json.decode(answer.body)


def test_the_health_follows_the_servers(tmp_path: Path) -> None:
    async def run() -> None:
        async with cluster(tmp_path) as servers:
            leader = await servers.leader()
            follower, victim = {0, 1, 2} - {leader}
            for asked in (leader, follower):
                found = await health_of(servers, asked, 200)
                assert (found["Healthy"], found["FailureTolerance"]) == (True, 1)
                assert found["Leader"] == servers.running[leader].replica.server_id
                assert len(found["Servers"]) == len(found["Voters"]) == 3
                [own] = [each for each in found["Servers"] if each["Leader"]]
                assert own["LastContact"] == "0s"
                assert own["StableSince"] > "2000"
            dead = servers.running[victim].replica.server_id
            await servers.stop(victim)
            for asked in (leader, follower):
                found = await health_of(servers, asked, 429)
                assert found["FailureTolerance"] == 0
                [one] = [each for each in found["Servers"] if not each["Healthy"]]
                assert (one["ID"], one["StableSince"]) == (dead, "0001-01-01T00:00:00Z")
            await servers.start(victim)
            assert (await health_of(servers, leader, 200))["FailureTolerance"] == 1

    uvloop.run(run())
