"""A command of a version to come reaches servers: they hold, say so, and lose nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvloop
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.server.server import Server

REGISTER = "/v1/operator/scheduler/configuration"
FUTURE = b"\x7f\x80"


def held(server: Server) -> bool:
    return "stopped applying the log" in (server.agent.health_problem() or "")


async def inject(servers: ServerCluster) -> int:
    """A leader that knows no better writes a command of a version to come; at which index."""
    leader = servers.running[await servers.leader()]
    before = leader.replica.node.log.last_index
    leader.replica.propose(FUTURE).add_done_callback(lambda future: future.exception())
    await until(lambda: all(map(held, servers.running.values())))
    return before + 1


def test_servers_that_meet_a_command_they_cannot_read_hold_and_say_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path) as servers:
            assert (await servers.ask(0, REGISTER, "PUT", "{}")).status == 200
            await inject(servers)
            for number in range(3):
                health = await servers.ask(number, "/v1/agent/health")
                text = health.body.decode()
                assert health.status == 500
                assert "a command of type 127 cannot be read" in text
                assert "upgrade this server to the version of the present leader" in text
                assert (await servers.ask(number, REGISTER + "?stale")).status == 200
                applied = servers.running[number].machine.store.applied_index
                assert f"at index {applied + 1}" in text
            # A restart comes to the same: nothing was passed over.
            await servers.stop(1)
            await servers.start(1)
            await until(lambda: held(servers.running[1]))
            assert (await servers.ask(1, REGISTER + "?stale")).status == 200
            assert not servers.fatal

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
