"""A whole snapshot takes the place of all that was before it, on the disk too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from replica_cluster import Replicas, until

OLD = b"what must not stay on the disk"


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_nothing_before_a_whole_snapshot_stays_on_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"key=" + OLD)
        assert await leader.snapshot_now() > 0
        index, _ = await leader.propose(b"key=new")
        assert OLD in on_disk(tmp_path / leader.server_id)
        assert await leader.oldest_on_disk() <= 2
        # A plain snapshot keeps entries for slow followers, and the snapshot before it.
        assert await leader.snapshot_now() > 0
        assert OLD in on_disk(tmp_path / leader.server_id)
        # Also where there is nothing new to snapshot.
        assert await leader.snapshot_now(whole=True) == 0
        await until(lambda: OLD not in on_disk(tmp_path / leader.server_id))
        assert await leader.oldest_on_disk() >= index
        await leader.propose(b"later=1")
        for replica in cluster.running.values():
            await until(lambda: cluster.machines[replica.server_id].values.get("later"))  # noqa: B023
            assert await replica.snapshot_now(whole=True) > index
            await until(lambda: OLD not in on_disk(tmp_path / replica.server_id))  # noqa: B023
        await cluster.stop()
        await cluster.start()
        leader = await cluster.leader()
        await leader.read_barrier()
        assert cluster.machines[leader.server_id].values == {"key": "new", "later": "1"}
        await cluster.stop()

    asyncio.run(scenario())


def test_a_follower_that_was_away_is_filled_by_the_whole_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        away = next(name for name in cluster.servers if name != leader.server_id)
        await cluster.stop(away)
        await leader.propose(b"key=1")
        assert await leader.snapshot_now(whole=True) > 0
        term = leader.node.term
        await cluster.start(away)
        await until(lambda: cluster.machines[away].values.get("key") == "1")
        assert leader.node.term == term
        await cluster.stop()

    asyncio.run(scenario())
