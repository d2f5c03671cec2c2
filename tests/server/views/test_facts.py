"""What a server says of its log is what its data folder holds afterwards."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from server_cluster import cluster, until

from quorate.levels import LEVEL
from quorate.recovery.looking.inspect import inspect

FACTS = "/v1/operator/raft/facts"


def test_the_facts_are_those_of_the_folder(tmp_path: Path) -> None:
    async def run() -> None:
        async with cluster(tmp_path, 1) as servers:
            store = servers.running[0].machine.store
            await until(lambda: store.level == LEVEL)
            assert (await servers.ask(0, "/v1/namespace", "PUT", '{"Name":"team"}')).status == 200
            said = json.loads((await servers.ask(0, FACTS)).body)
        found = inspect(tmp_path / "s0")
        assert found.reach == (said["LastTerm"], said["LastIndex"])
        assert found.server_id == said["ID"] == said["LeaderID"]
        assert (found.cluster_id, found.region) == (said["ClusterID"], said["Region"])
        assert (found.term, found.start) == (said["Term"], said["Start"])
        assert (found.vote_term, found.voted_for) == (said["VoteTerm"], said["VotedFor"])
        assert [s.id for s in found.members.servers] == [
            s["ID"] for s in said["Configuration"]["Servers"]
        ]
        assert all(s["Key"] for s in said["Configuration"]["Servers"])
        assert said["CommitIndex"] == said["LastIndex"] > said["Snapshot"]["Index"] == 0
        assert (said["Role"], said["Epoch"], said["EpochBits"]) == ("leader", 0, "")

    asyncio.run(run())
