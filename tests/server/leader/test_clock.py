"""All times of a server that are compared with its replica's are of the replica's clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from server_cluster import ServerCluster

from quorate.runtime.clock import machine_time

AHEAD_S = 1_000_000.0  # of the loop's clock, as after long suspensions


def test_no_time_of_the_event_loop_is_mixed_with_those_of_the_replica(tmp_path: Path) -> None:
    async def scenario() -> None:
        servers = ServerCluster(tmp_path, now=lambda: machine_time() + AHEAD_S)
        await servers.start()
        leader = await servers.leader()
        follower = (leader + 1) % 3
        for number in (leader, follower):
            server = servers.running[number]
            assert server.replica.now() > machine_time() + AHEAD_S / 2
            assert 0 <= server.leadership.last_contact_ms() < 60_000
            assert 0 <= server.cluster.own().last_contact_ms < 60_000
            answer = await servers.ask(number, "/v1/agent/self")
            stats = msgspec.json.decode(bytes(answer.body))["stats"]["raft"]
            assert stats["last_contact"].endswith(("ms", "µs", "ns", "0")), stats
            for peer in server.cluster.raft_configuration().servers:
                assert peer.status == "alive"
            assert server.folder.promise_s == server.options.settings.election_timeout_s
        await servers.stop()

    asyncio.run(scenario())
