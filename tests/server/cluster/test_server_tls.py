"""Three servers that speak TLS with each other: found, forward, catch up, and renew."""

from __future__ import annotations

import json
from pathlib import Path

from api_running import asynchronous
from server_cluster import cluster, until
from tls_files import Certificates, keeper

from quorate.diagnosis.asking.answers import servers_of
from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import World
from quorate.levels import LEVEL
from quorate.net.tls.identity import read_identity

PATH = "/v1/var/a"


@asynchronous
async def test_servers_by_tls(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")
    tls = keeper(made.files())
    async with cluster(tmp_path, tls=tls) as servers:
        leader = await servers.leader()
        follower = (leader + 1) % 3
        await until(lambda: servers.running[leader].machine.store.level == LEVEL)
        body = json.dumps({"Items": {"a": "1"}})
        written = await servers.ask(follower, PATH, "PUT", body)
        assert written.status == 200
        assert (await servers.ask(follower, PATH)).status == 200
        # New certificates: every connection is made again, and nobody leads in a new term.
        term = servers.running[leader].replica.node.term
        files = made.files("new")
        tls.replace(files, read_identity(files))
        assert (await servers.ask(follower, PATH, "PUT", body)).status == 200
        assert servers.running[leader].replica.node.term == term
        # Each server tells how long its certificate counts, to whatever asks one of them.
        soon = made.files("soon", days=20)
        tls.replace(soon, read_identity(soon))
        views = json.loads((await servers.ask(leader, "/v1/operator/raft/views?details")).body)
        _, told, _ = servers_of(views, "http://127.0.0.1:1")
        found = [f for f in diagnose(World(servers=tuple(told))).findings if "certif" in f.cause]
        assert [f.cause for f in found] == ["certificate-expires"] * 3
        assert all("expires in 19 days" in f.text for f in found)
        # One that comes back is heard, and hears.
        await servers.stop(follower)
        assert (await servers.ask(leader, PATH, "PUT", body)).status == 200
        await servers.start(follower)
        goal = servers.running[leader].replica.node.commit_index
        await until(lambda: servers.running[follower].replica.node.applied_index >= goal)
