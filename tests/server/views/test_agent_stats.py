"""The statistics of `agent/self`, as real servers write them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import uvloop
from patience import PATIENCE_S
from server_cluster import cluster


def test_the_configuration_is_written_as_go_writes_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, 2) as servers:
            answer = await servers.ask(0, "/v1/agent/self")
            raft = msgspec.json.decode(answer.body)["stats"]["raft"]
            members = servers.running[0].replica.node.configuration.servers
            shown = " ".join(
                f"{{Suffrage:Voter ID:{each.id} Address:{each.address}}}" for each in members
            )
            assert raft["latest_configuration"] == f"[{shown}]"

    uvloop.run(run())
