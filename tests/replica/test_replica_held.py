"""A state machine that cannot understand a command holds there; its server goes on without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from replica_cluster import FAST, Pairs, Replicas, until

from quorate.errors import MachineHeld


class Old(Pairs):
    """Does not know commands that begin with `new`."""

    def apply(self, index: int, command: bytes) -> str | None:
        if command.startswith(b"new"):
            raise MachineHeld(f"entry {index} needs version 2", "upgrade this server")
        return super().apply(index, command)


def test_a_follower_holds_at_the_entry_before_votes_and_stores(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        old, third = (name for name in cluster.servers if name != leader.server_id)
        await cluster.stop(old)
        cluster.machine = Old
        await cluster.start(old)
        held = cluster.running[old]
        heard: list[MachineHeld | None] = []
        held.on_held.append(heard.append)
        before, _ = await leader.propose(b"k=1")
        index, _ = await leader.propose(b"new=1")
        await until(lambda: held.held)
        assert [str(error) for error in heard] == [f"entry {index} needs version 2"]
        assert held.node.applied_index == before == index - 1
        assert cluster.machines[old].values == {"k": "1"}
        # Its disk and its vote count: with the third one gone it is half of the quorum.
        await cluster.stop(third)
        index, _ = await leader.propose(b"k=2")
        assert held.log.last_index() >= index
        # It does not lead, and lets the other one lead.
        cluster.machine = Pairs
        await cluster.start(third)
        await until(lambda: cluster.running[third].node.applied_index >= index)
        await cluster.stop(leader.server_id)
        await until(lambda: cluster.running[third].is_leader)
        await cluster.running[third].propose(b"k=3")
        assert cluster.machines[old].values == {"k": "1"}
        assert held.held is not None
        assert len(heard) == 1
        await cluster.stop()

    asyncio.run(scenario())


def test_a_restart_holds_again_and_an_upgrade_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        index, _ = await leader.propose(b"new=1")
        await leader.propose(b"k=2")
        await cluster.stop()
        cluster.machine = Old
        for _ in range(2):
            await cluster.start()
            replica = cluster.running["a"]
            await until(lambda replica=replica: replica.held)  # type: ignore[misc]
            assert replica.node.applied_index == index - 1
            with pytest.raises(MachineHeld, match=f"entry {index} needs version 2"):
                await replica.read_barrier()
            with pytest.raises(MachineHeld, match="version 2"):
                await replica.propose(b"k=3")
            # What it holds is right: it may be kept, and the log behind it is.
            assert await replica.snapshot_now() in {index - 1, 0}
            await cluster.stop()
        cluster.machine = Pairs
        await cluster.start()
        leader = await cluster.leader()
        await leader.read_barrier()
        assert cluster.machines["a"].values == {"k": "2", "new": "1"}
        await cluster.stop()

    asyncio.run(scenario())


def test_a_leader_that_holds_refuses_and_hands_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, machine=Old)
        await cluster.start("a")
        cluster.machine = Pairs
        await cluster.start("b", "c")
        leader = await cluster.leader()
        if leader.server_id != "a":
            await leader.transfer("a")
            leader = await cluster.leader()
        writes = [leader.propose(command) for command in (b"k=1", b"new=1", b"k=2")]
        await writes[0]
        for write in writes[1:]:
            with pytest.raises(MachineHeld):
                await write
        with pytest.raises(MachineHeld):
            await leader.read_barrier()
        await until(lambda: any(cluster.running[name].is_leader for name in "bc"))
        assert not leader.is_leader
        other = next(cluster.running[name] for name in "bc" if cluster.running[name].is_leader)
        await other.read_barrier()
        assert cluster.machines[other.server_id].values == {"k": "2", "new": "1"}
        await cluster.stop()

    asyncio.run(scenario())


def test_a_snapshot_that_comes_from_a_leader_ends_the_hold(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, settings=FAST)
        await cluster.start()
        await cluster.leader()
        await cluster.stop("c")
        leader = await cluster.leader()
        await leader.propose(b"new=1")
        for number in range(50):
            await leader.propose(b"k=%d" % number)
        assert await leader.snapshot_now() > 0
        cluster.machine = Old
        await cluster.start("c")
        late = cluster.running["c"]
        await until(lambda: cluster.machines["c"].values.get("k") == "49")
        assert late.held is None, "it never saw the entry"
        heard: list[MachineHeld | None] = []
        late.on_held.append(heard.append)
        await leader.propose(b"new=2")
        await until(lambda: late.held)
        await leader.propose(b"k=last")
        await cluster.stop("c")
        for number in range(50):
            await leader.propose(b"more=%d" % number)
        await leader.snapshot_now()
        await cluster.start("c")
        await until(lambda: cluster.machines["c"].values.get("more") == "49")
        assert cluster.running["c"].held is None
        await cluster.stop()

    asyncio.run(scenario())
