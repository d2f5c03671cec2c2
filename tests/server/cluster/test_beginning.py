"""A server takes part when all of it is there, however long it takes to be made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from replica_cluster import Pairs
from server_cluster import ServerCluster, until

from quorate.raft import Configuration, Server, Settings
from quorate.replica.options import Options
from quorate.replica.replica import Replica
from quorate.storage.folder.replica_folder import ReplicaFolder
from quorate.storage.snapshots.store import SnapshotStore

THREE = Configuration(tuple(Server(n, f"127.0.0.1:{i}") for i, n in enumerate("abc", 1)))
SETTINGS = Settings(election_timeout_s=2.0)


def replica_in(folder: ReplicaFolder, clock: list[float]) -> Replica[Any]:
    return Replica(
        server_id="a",
        address="127.0.0.1:1",
        machine=Pairs(),
        log=folder.open_log(),
        snapshots=SnapshotStore(folder.snapshots_path),
        options=Options(settings=SETTINGS),
        now=lambda: clock[0],
        promises=folder,
    )


def test_nobody_is_greeted_and_nothing_is_counted_before_it_takes_part(tmp_path: Path) -> None:
    """What greets the members may not be there yet; its failure would end the replica."""
    greeted: list[str] = []

    async def greet(member: Server) -> bool:
        greeted.append(member.id)
        return True

    async def story() -> None:
        clock = [0.0]
        with ReplicaFolder.open(tmp_path, server_id="a", run=b"12345678") as folder:
            replica = replica_in(folder, clock)
            await replica.start()
            await replica.bootstrap(THREE)
            await replica.stop()
        with ReplicaFolder.open(tmp_path, server_id="a", run=b"12345679") as folder:
            replica = replica_in(folder, clock)
            replica.greeter = greet
            await replica.load()
            clock[0] = 60.0  # far behind any time that began with its making
            for _ in range(20):
                await asyncio.sleep(0)
            assert (greeted, replica.node.greeting) == ([], None)
            replica.begin()
            assert replica.node.promised_until >= 60.0 + SETTINGS.election_timeout_s
            assert replica.node.election_deadline > 60.0
            await until(lambda: sorted(greeted) == ["b", "c"])
            await replica.stop()
        with ReplicaFolder.open(tmp_path, server_id="a", run=b"12345670") as folder:
            replica = replica_in(folder, clock)
            await replica.load()
            await replica.stop()  # also one that never took part

    asyncio.run(story())


@pytest.mark.long
def test_a_server_that_waits_while_it_is_made_asks_and_answers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three restart, with a wait where there is none; both are needed for a leader.

    The members are greeted as soon as a replica begins. Once that was before the server had what
    greets them, and nothing but the lack of a wait in between kept it from ending.
    """
    load = Replica[object].load

    async def slow(replica: Replica[object]) -> None:
        await load(replica)
        before = (replica.node.hard_state, replica.node.greeting, replica.status().role)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert (replica.node.hard_state, replica.node.greeting, replica.status().role) == before

    async def story() -> None:
        servers = ServerCluster(tmp_path, 3)
        await servers.start()
        await servers.leader()
        await servers.stop()
        monkeypatch.setattr(Replica, "load", slow)
        await servers.start(0, 1)
        await servers.leader()
        assert not servers.fatal
        await servers.stop()

    asyncio.run(story())
