"""What lies on the disk is read again while a replica runs; a machine known to be wrong rests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from replica_cluster import FAST, Replicas, until

from quorate.errors import ChangeRefused, LogDamaged, StateDamaged
from quorate.replica import Replica
from quorate.storage.snapshots.meta import STATE_FILE

INTERVAL_S = 0.1


def flip(path: Path, content: bytes) -> None:
    """Flip a bit of every copy of `content` in the file, in place."""
    data = path.read_bytes()
    assert content in data
    with path.open("r+b") as file:
        position = data.find(content)
        while position >= 0:
            file.seek(position)
            file.write(bytes([data[position] ^ 1]))
            position = data.find(content, position + 1)


def failures(replica: Replica[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    replica.on_failure.append(found.append)
    return found


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_a_byte_that_changes_in_the_log_at_rest_ends_that_replica_alone(
    tmp_path: Path, role: str
) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, scrub_interval_s=INTERVAL_S)
        await cluster.start()
        leader = await cluster.leader()
        for number in range(20):
            index, _ = await leader.propose(b"key=precious %d;" % number)
        followers = [r for r in cluster.running.values() if r is not leader]
        await until(lambda: all(r.log.last_index() >= index for r in followers))
        odd = leader if role == "leader" else followers[0]
        ended = {name: failures(replica) for name, replica in cluster.running.items()}
        await asyncio.sleep(2 * INTERVAL_S)
        assert not any(ended.values())  # a log that is whole ends nobody
        flip(tmp_path / odd.server_id / "log" / "0000000001.segment", b"precious 7;")
        await until(lambda: ended[odd.server_id])
        (damage,) = ended[odd.server_id]
        assert isinstance(damage, LogDamaged)
        assert "0000000001.segment is damaged: its checksum" in damage.text
        assert not odd.is_leader  # it has handed over
        await cluster.stop(odd.server_id)
        leader = await cluster.leader()
        await leader.propose(b"key=2")
        assert not any(ended[name] for name in cluster.running)
        await cluster.stop()

    asyncio.run(scenario())


def test_a_damaged_snapshot_is_replaced_from_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1, scrub_interval_s=INTERVAL_S)
        await cluster.start()
        replica = await cluster.leader()
        ended = failures(replica)
        await replica.propose(b"key=precious")
        damaged = await replica.snapshot_now()
        await replica.propose(b"key=precious still")
        (path,) = (tmp_path / "a" / "snapshots").glob(f"*/{STATE_FILE}")
        flip(path, b"precious")
        await until(lambda: len(replica.snapshots.list()) == 2)
        newest = replica.snapshots.newest_valid().meta
        assert newest is not None
        assert newest.index > damaged
        assert not ended
        await cluster.stop()
        await cluster.start()
        assert cluster.machines["a"].values == {"key": "precious still"}
        await cluster.stop()

    asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records if "snapshot" in record.getMessage()]
    assert "checksum does not match; another snapshot is taken in its place" in said[0]


def test_no_round_is_made_where_they_are_switched_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1, scrub_interval_s=0.0)
        await cluster.start()
        replica = await cluster.leader()
        ended = failures(replica)
        await replica.propose(b"key=precious")
        flip(tmp_path / "a" / "log" / "0000000001.segment", b"precious")
        await asyncio.sleep(3 * INTERVAL_S)
        assert not ended
        replica.reconfigure(msgspec.structs.replace(replica.options, scrub_interval_s=INTERVAL_S))
        await until(lambda: ended)
        await cluster.stop()

    asyncio.run(scenario())


def test_a_replica_in_quarantine_answers_nothing_takes_no_snapshot_and_never_leads(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"key=1")
        odd = next(r for r in cluster.running.values() if r is not leader)
        for replica in (leader, odd):
            replica.quarantine(StateDamaged("it is wrong", "ask another"))
        assert not leader.lease_valid()
        with pytest.raises(StateDamaged, match="it is wrong"):
            await leader.propose(b"key=2")
        with pytest.raises(StateDamaged, match="it is wrong"):
            await leader.read_barrier()
        assert await leader.snapshot_now() == 0
        with pytest.raises(ChangeRefused):
            await leader.transfer(odd.server_id)
        third = next(r for r in cluster.running.values() if r not in (leader, odd))
        assert await leader.transfer(third.server_id) == third.server_id
        leader.quarantine(None)
        await third.propose(b"key=3")  # the log goes on everywhere, the state with it
        await until(lambda: all(m.values == {"key": "3"} for m in cluster.machines.values()))
        assert await leader.snapshot_now() > 0
        await cluster.stop()

    asyncio.run(scenario())


def test_a_leader_in_quarantine_sends_no_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, settings=FAST)
        await cluster.start()
        leader = await cluster.leader()
        lagging = next(name for name in cluster.servers if name != leader.server_id)
        await cluster.stop(lagging)
        for number in range(50):
            await leader.propose(b"key=%d" % number)
        assert await leader.snapshot_now() > 0
        leader.quarantine(StateDamaged("it is wrong"))
        await cluster.start(lagging)
        peers = leader.node.leader.peers if leader.node.leader else {}
        started = leader.now()
        await until(lambda: peers[lagging].contact_at > started + 0.5)  # heard, and given nothing
        assert cluster.machines[lagging].values == {}
        leader.quarantine(None)
        await until(lambda: cluster.machines[lagging].values == {"key": "49"})
        await cluster.stop()

    asyncio.run(scenario())
