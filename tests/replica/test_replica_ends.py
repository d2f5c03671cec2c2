"""What callers hear when a replica cannot answer any more: it failed, was stopped, or is wrong."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from replica_cluster import Pairs, Replicas, until

from quorate.errors import LeadershipLost, NotBegun, QuorateError, ReplicaStopped, StateDamaged
from quorate.raft import Change, ChangeKind
from quorate.replica import Options, Replica
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


class Breaking(Pairs):
    """Raises for the command `break`."""

    def apply(self, index: int, command: bytes) -> str | None:
        if command == b"break":
            raise RuntimeError("a bug of the service")
        return super().apply(index, command)


def test_an_apply_that_raises_ends_the_replica_and_all_who_wait_hear_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1, machine=Breaking)
        await cluster.start()
        leader = await cluster.leader()
        heard: list[BaseException] = []
        leader.on_failure.append(heard.append)
        await leader.propose(b"k=1")
        waiting = [leader.propose(command) for command in (b"k=2", b"break", b"k=3")]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers[0] == (answers[0][0], "1"), "it was applied before"  # type: ignore[index]
        for answer in answers[1:]:
            assert isinstance(answer, ReplicaStopped)
            assert answer.text == "this replica has ended: RuntimeError: a bug of the service"
            assert isinstance(answer.__cause__, RuntimeError)
        assert [str(error) for error in heard] == ["a bug of the service"]
        assert not leader.is_leader
        assert not leader.lease_valid()
        await all_refused(leader, "has ended: RuntimeError: a bug of the service")
        await cluster.stop()

    asyncio.run(scenario())


def test_the_others_go_on_when_the_leader_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        heard: list[BaseException] = []
        leader.on_failure.append(heard.append)

        def fail(*_: object) -> None:
            raise OSError("no room for the news")

        leader.on_configuration.append(fail)
        others = [name for name in cluster.servers if name != leader.server_id]
        with pytest.raises(ReplicaStopped, match="no room for the news"):
            await leader.change(Change(ChangeKind.DEMOTE_VOTER, others[0]))
        assert len(heard) == 1
        await cluster.stop(leader.server_id)
        await (await cluster.leader()).propose(b"k=1")
        await cluster.stop()

    asyncio.run(scenario())


def test_all_calls_are_refused_after_the_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        leader = await cluster.leader()
        await cluster.stop()
        assert not leader.is_leader
        await all_refused(leader, "was stopped")

    asyncio.run(scenario())


async def all_refused(replica: Replica[Any], why: str) -> None:
    """Every call raises at once."""
    async with asyncio.timeout(5.0):
        with pytest.raises(ReplicaStopped, match=why):
            replica.propose(b"k=1")
        with pytest.raises(ReplicaStopped, match=why):
            await asyncio.wrap_future(await asyncio.to_thread(replica.propose_threadsafe, b"k=1"))
        with pytest.raises(ReplicaStopped, match=why):
            await replica.read_barrier()
        with pytest.raises(ReplicaStopped, match=why):
            await replica.change(Change(ChangeKind.ADD_NONVOTER, "z", "127.0.0.1:1"))
        with pytest.raises(ReplicaStopped, match=why):
            await replica.transfer()
        with pytest.raises(ReplicaStopped, match=why):
            await replica.snapshot_now()


def test_calls_from_another_thread_are_refused_and_one_is_made_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        leader = await cluster.leader()
        refusals: list[str] = []
        answers: list[object] = []

        def from_a_thread() -> None:
            with pytest.raises(QuorateError) as plain:
                leader.propose(b"k=1")
            refusals.append(plain.value.next_step)
            with pytest.raises(QuorateError) as other_loop:
                asyncio.run(leader.read_barrier())
            refusals.append(other_loop.value.next_step)
            answers.append(leader.propose_threadsafe(b"k=2").result(timeout=10.0))

        thread = threading.Thread(target=from_a_thread)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(refusals) == 2
        assert all("propose_threadsafe" in text for text in refusals)
        assert answers == [(leader.node.applied_index, None)]
        assert cluster.machines[leader.server_id].values == {"k": "2"}
        await cluster.stop()

    asyncio.run(scenario())


def test_a_replica_that_was_not_started_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = LogStore.open(tmp_path / "log")
        replica = Replica(
            server_id="a",
            address="127.0.0.1:1",
            machine=Pairs(),
            log=log,
            snapshots=SnapshotStore(tmp_path / "snapshots"),
            options=Options(),
        )
        with pytest.raises(ReplicaStopped, match="was not started"):
            replica.propose(b"k=1")
        log.close()

    asyncio.run(scenario())


def test_who_waits_when_the_state_is_found_wrong_is_not_answered_from_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await cluster.stop(*(name for name in cluster.servers if name != leader.server_id))
        await until(lambda: not leader.lease_valid())
        write = leader.propose(b"k=1")
        read = asyncio.ensure_future(leader.read_barrier())
        await asyncio.sleep(0)
        assert leader.is_leader
        late = leader.propose(b"k=2")  # not yet with the core
        leader.quarantine(StateDamaged("the state here is not that of the others"))
        async with asyncio.timeout(5.0):
            all_waiting: list[asyncio.Future[Any]] = [write, read, late]
            for waiting in all_waiting:
                with pytest.raises(StateDamaged, match="not that of the others") as found:
                    await waiting
                # A write that is in the log may stand, and must not be repeated unseen.
                assert isinstance(found.value, NotBegun) is (waiting is not write)
        with pytest.raises(NotBegun):
            await leader.propose(b"k=3")
        await cluster.stop()

    asyncio.run(scenario())


def test_who_waits_at_the_stop_hears_that_it_may_or_may_not_stand(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await cluster.stop(*(name for name in cluster.servers if name != leader.server_id))
        waiting: list[asyncio.Future[Any]] = [
            leader.propose(b"k=1"),
            asyncio.ensure_future(leader.transfer("b")),
        ]
        await asyncio.sleep(0)
        late = leader.propose(b"k=2")
        await cluster.stop()
        for future in (*waiting, late):
            with pytest.raises((LeadershipLost, QuorateError)):
                await future

    asyncio.run(scenario())
