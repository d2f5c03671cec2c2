"""A machine that was suspended: its replica knows how long, and answers nothing from before."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from replica_cluster import Pairs, until

from quorate.errors import ChangeRefused, LeadershipLost, NotLeader
from quorate.raft import Configuration, Server
from quorate.replica import Options, Replica
from quorate.runtime.clock import LoopClock, machine_time
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


class BootClock:
    """The machine's time, and how long it has slept besides."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def __call__(self) -> float:
        return machine_time() + self.slept_s


class Sleepers:
    """Three replicas a, b and c, each on a machine that can sleep by itself; `a` leads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot = {name: BootClock() for name in "abc"}
        self.replicas: dict[str, Replica[Any]] = {}

    async def start(self) -> Replica[Any]:
        loop = asyncio.get_running_loop()
        sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in self.boot}
        servers = [Server(n, f"127.0.0.1:{s.getsockname()[1]}") for n, s in sockets.items()]
        for server in servers:
            name = server.id
            self.replicas[name] = replica = Replica(
                server_id=name,
                address=server.address,
                machine=Pairs(),
                log=LogStore.open(self.folder / name / "log"),
                snapshots=SnapshotStore(self.folder / name / "snapshots"),
                options=Options(),
                now=self.boot[name],
            )
            await replica.start()
            await replica.bootstrap(Configuration(tuple(servers)))
            listener = await loop.create_server(replica.connection, sock=sockets[name])
            replica.at_stop.append(listener.close)
        await self.led_by_a()
        return self.replicas["a"]

    async def led_by_a(self) -> None:
        a = self.replicas["a"]
        while not a.lease_valid():
            leader = await self.leader()
            if leader is not a:
                with suppress(ChangeRefused, NotLeader, LeadershipLost):
                    await leader.transfer("a")
            await asyncio.sleep(0.01)

    async def leader(self) -> Replica[Any]:
        """The one that all follow."""

        def agreed() -> Replica[Any] | None:
            named = {replica.node.leader_id for replica in self.replicas.values()}
            return self.replicas.get(named.pop()) if len(named) == 1 else None

        found: Replica[Any] = await until(agreed)
        return found

    async def stop(self) -> None:
        for replica in self.replicas.values():
            await replica.stop()


def test_a_lease_does_not_survive_that_its_machine_is_suspended(tmp_path: Path) -> None:
    async def scenario() -> None:
        machines = Sleepers(tmp_path)
        leader = await machines.start()
        assert leader.lease_valid()
        machines.boot["a"].slept_s += 60.0
        # Not one event has come: nothing but the clock itself can tell.
        assert leader.is_leader
        assert not leader.lease_valid()
        read = asyncio.ensure_future(leader.read_barrier())
        await asyncio.sleep(0)
        assert not read.done(), "it must ask the others first"
        with suppress(NotLeader, LeadershipLost):
            await read
        await machines.led_by_a()
        await machines.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["a", "b"])
def test_all_goes_on_after_it(tmp_path: Path, name: str) -> None:
    """Of a leader and of a follower."""

    async def scenario() -> None:
        machines = Sleepers(tmp_path)
        await machines.start()
        machines.boot[name].slept_s += 3600.0
        await machines.led_by_a()
        leader = machines.replicas["a"]
        assert (await leader.propose(b"k=1"))[1] is None
        since = leader.now()
        await until(lambda: all(p.contact_s < leader.now() - since for p in leader.peers()))
        for replica in (machines.replicas[follower] for follower in "bc"):
            assert replica.now() - 60.0 < replica.node.contact_at <= replica.now()
        await machines.stop()

    asyncio.run(scenario())


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_a_replica_reads_the_clock_that_runs_while_the_machine_is_suspended() -> None:
    async def scenario() -> None:
        clock = LoopClock(asyncio.get_running_loop(), machine_time)
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert before <= clock.now() <= time.clock_gettime(time.CLOCK_BOOTTIME)
        fired = asyncio.Event()
        clock.call_later(0.01, fired.set)
        async with asyncio.timeout(10.0):
            await fired.wait()

    asyncio.run(scenario())
