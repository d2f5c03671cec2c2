"""Servers on older states of their folders, and what the others know of them."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path

from server_cluster import ServerCluster, until

from quorate.storage.folder.data_folder import DataFolder


def test_a_founder_put_back_to_before_the_founding_comes_back_as_another(tmp_path: Path) -> None:
    """It holds the key of a voter and nothing of what that voter has promised."""

    async def story() -> None:
        servers = ServerCluster(tmp_path, 3)
        await servers.start(2)  # alone: it has an ID, and waits
        await servers.stop(2)
        shutil.copytree(tmp_path / "s2", tmp_path / "image")
        await servers.start()
        await servers.leader()
        old = servers.running[2].replica.server_id
        await servers.stop(2)
        shutil.rmtree(tmp_path / "s2")
        shutil.move(tmp_path / "image", tmp_path / "s2")

        await servers.start(2)
        assert servers.running[2].replica.server_id == old
        await until(lambda: 2 in servers.fatal)
        assert "its folder was put back to an older state" in str(servers.fatal[2])
        assert not servers.running[2].replica.node.term, "it has not voted"
        await servers.stop(2)

        await servers.start(2)
        leader = servers.running[await servers.leader()]
        new = servers.running[2].replica.server_id
        assert new != old
        await until(lambda: leader.replica.node.configuration.get(new))
        await servers.stop()

    asyncio.run(story())


def test_a_server_that_starts_hears_of_the_starts_of_those_that_are_down(tmp_path: Path) -> None:
    async def story() -> None:
        servers = ServerCluster(tmp_path, 3)
        await servers.start()
        await servers.leader()
        away = servers.running[2].replica.server_id
        await until(lambda: all(away in servers.running[n].trust.starts.seen for n in (0, 1)))
        start = servers.running[1].trust.starts.seen[away]
        await servers.stop(0, 2)
        new_id, run = str(uuid.uuid4()), b"a start."
        with DataFolder.open(
            tmp_path / "s0", region="global", version="0", make_id=lambda: new_id, run=run
        ) as folder:
            folder.forget_starts(())
            assert not folder.seen
        await servers.start(0)
        await until(lambda: servers.running[0].trust.starts.seen.get(away) == start)
        await servers.stop()

    asyncio.run(story())
