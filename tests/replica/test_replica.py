"""Replicas on real sockets and disks: replication, restart, snapshots, membership, reads."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop
from replica_cluster import FAST, Pairs, Replicas, until

from quorate.errors import ChangeRefused, LeadershipLost, NotLeader
from quorate.raft import Change, ChangeKind, Settings
from quorate.replica import Options, Replica
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


def test_a_write_reaches_all_and_the_proposer_gets_the_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        _, before = await leader.propose(b"k=1")
        index, second = await leader.propose(b"k=2")
        assert (before, second) == (None, "1")
        await until(lambda: all(m.values == {"k": "2"} for m in cluster.machines.values()))
        assert all(r.node.commit_index >= index for r in cluster.running.values())
        await cluster.stop()

    asyncio.run(scenario())


def test_a_follower_refuses_writes_and_reads_and_names_the_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        follower = next(r for r in cluster.running.values() if r is not leader)
        with pytest.raises(NotLeader) as refusal:
            await follower.propose(b"k=1")
        assert refusal.value.leader_id == leader.server_id
        with pytest.raises(NotLeader):
            await follower.read_barrier()
        await cluster.stop()

    asyncio.run(scenario())


def test_all_restart_with_what_was_acknowledged(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await asyncio.gather(*(leader.propose(b"%d=x" % i) for i in range(300)))
        term = leader.node.term
        await cluster.stop()
        await cluster.start()
        leader = await cluster.leader()
        assert leader.node.term > term
        await leader.read_barrier()
        assert len(cluster.machines[leader.server_id].values) == 300
        await cluster.stop()

    asyncio.run(scenario())


def test_an_empty_follower_catches_up_by_snapshot_without_an_election(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, settings=FAST)
        await cluster.start()
        leader = await cluster.leader()
        lagging = next(name for name in cluster.servers if name != leader.server_id)
        await cluster.stop(lagging)
        value = b"v" * 20_000
        for start in range(0, 200, 20):
            await asyncio.gather(
                *(leader.propose(b"%d=%s" % (i, value)) for i in range(start, start + 20))
            )
        assert await leader.snapshot_now() > 0
        assert leader.node.log.first_index > 1
        term = leader.node.term
        await cluster.start(lagging)
        await until(lambda: len(cluster.machines[lagging].values) == 200)
        await leader.propose(b"after=1")
        await until(lambda: cluster.machines[lagging].values.get("after") == "1")
        assert leader.node.term == term
        assert cluster.running[lagging].snapshots.list()
        await cluster.stop()
        await cluster.start()  # and what it received serves a restart
        await cluster.leader()
        await until(lambda: len(cluster.machines[lagging].values) == 201)
        await cluster.stop()

    asyncio.run(scenario())


def test_membership_and_transfer(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        others = [name for name in cluster.servers if name != leader.server_id]
        assert await leader.transfer(others[0]) == others[0]
        leader = await cluster.leader()
        assert leader.server_id == others[0]
        await leader.change(Change(ChangeKind.REMOVE_SERVER, others[1]))
        removed = cluster.running[others[1]]
        await until(lambda: removed.node.committed_configuration.get(others[1]) is None)
        with pytest.raises(ChangeRefused):
            await leader.transfer(others[1])
        await cluster.stop(others[1])
        await leader.propose(b"k=1")
        await cluster.stop()

    asyncio.run(scenario())


def test_stopping_answers_whoever_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await cluster.stop(*(name for name in cluster.servers if name != leader.server_id))
        waiting = leader.propose(b"k=1")
        await asyncio.sleep(0)
        await cluster.stop()
        with pytest.raises(LeadershipLost):
            await waiting

    asyncio.run(scenario())


def test_a_second_bootstrap_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        leader = await cluster.leader()
        with pytest.raises(ChangeRefused, match="holds data"):
            await leader.bootstrap(leader.node.configuration)
        await cluster.stop()

    asyncio.run(scenario())


def test_an_overdue_deadline_is_no_error_in_any_loop(tmp_path: Path) -> None:
    """uvloop makes a plain handle, which knows no time, of a timer that is due at once."""
    complaints: list[dict[str, object]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        for _ in range(20):
            time.sleep(0.06)  # noqa: ASYNC251  held up beyond the next heartbeat, on purpose
            await leader.propose(b"k=1")
        await cluster.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert complaints == []


def test_without_lease_reads_every_read_waits_for_a_round(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, settings=Settings(lease_reads=False))
        await cluster.start()
        await until(lambda: any(r.is_leader for r in cluster.running.values()))
        leader = next(r for r in cluster.running.values() if r.is_leader)
        await leader.propose(b"k=1")
        before = leader.node.last_rpc_id
        await leader.read_barrier()
        assert leader.node.last_rpc_id >= before + 2  # both others were asked
        assert not leader.lease_valid()
        await cluster.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xa4full\xc0"])
def test_answers_of_no_use_are_told(tmp_path: Path, answer: bytes) -> None:
    async def scenario() -> None:
        def answering(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        await cluster.leader()
        name, stranger = list(cluster.servers.items())[-1]
        await cluster.stop(name)
        host, _, port = stranger.rpartition(":")
        listener = await asyncio.start_server(answering, host, int(port))
        heard: list[tuple[str, str]] = []
        for replica in cluster.running.values():
            replica.on_refused.append(lambda where, why: heard.append((where, why)))
        await until(lambda: any(w == stranger and "handshake" in why for w, why in heard))
        await cluster.stop()
        listener.close()

    asyncio.run(scenario())


def test_votes_of_whoever_has_the_addresses_of_lost_members_do_not_count(tmp_path: Path) -> None:
    """Two of three come back with empty folders, and so as other servers, where the old ones were.

    Their votes would make the third the leader of a majority that it has not.
    """

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        await cluster.stop()
        new = [await without_data(tmp_path / name, cluster.servers[name]) for name in "bc"]
        await cluster.start("a")
        old = cluster.running["a"]
        term = old.node.term
        campaigns: list[object] = []

        def campaigned() -> bool:
            campaign = old.node.campaign
            if campaign is not None and all(campaign is not known for known in campaigns):
                campaigns.append(campaign)
            return len(campaigns) == 4 or old.node.term > term

        await until(campaigned)
        assert (old.node.term, old.is_leader) == (term, False)
        assert [replica.node.term for replica in new] == [0, 0]
        await cluster.stop()
        for replica in new:
            await replica.stop()

    asyncio.run(scenario())


async def without_data(old_folder: Path, address: str) -> Replica[Any]:
    """A replica that belongs to nothing, under a name of its own."""
    folder = old_folder.with_name(f"{old_folder.name}-new")
    replica = Replica(
        server_id=folder.name,
        address=address,
        machine=Pairs(),
        log=LogStore.open(folder / "log"),
        snapshots=SnapshotStore(folder / "snapshots"),
        options=Options(),
    )
    await replica.start()
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(replica.connection, host, int(port))
    replica.at_stop.append(listener.close)
    return replica
