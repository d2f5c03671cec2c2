"""What a voter has promised to a leader holds over a restart, also with shorter settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replica_cluster import Pairs, Replicas, until

from quorate.errors import QuorateError
from quorate.raft import Configuration, Server, Settings
from quorate.raft.events import RequestReceived
from quorate.raft.values import messages as msg
from quorate.replica import Options, Replica
from quorate.storage.folder.replica_folder import ReplicaFolder
from quorate.storage.snapshots.store import SnapshotStore

LONG = Settings(election_timeout_s=500.0)
SHORT = Settings(election_timeout_s=50.0)  # by a clock that the test moves
THREE = Configuration(tuple(Server(n, f"127.0.0.1:{i}") for i, n in enumerate("abc", 1)))


class Answer:
    """The place of an answer to a peer."""

    def __init__(self) -> None:
        self.response: Any = None

    def answer(self, response: Any, error: str = "") -> None:
        assert not error
        self.response = response


class Life:
    """One start of voter a on its folder."""

    def __init__(self, data_dir: Path, settings: Settings, clock: list[float]) -> None:
        self.folder = ReplicaFolder.open(data_dir, server_id="a", run=b"12345678")
        self.replica = Replica(
            server_id="a",
            address="127.0.0.1:1",
            machine=Pairs(),
            log=self.folder.open_log(),
            snapshots=SnapshotStore(self.folder.snapshots_path),
            options=Options(settings=settings),
            now=lambda: clock[0],
            promises=self.folder,
        )

    async def begin(self) -> Replica[Any]:
        await self.replica.start()
        return self.replica

    async def end(self) -> None:
        await self.replica.stop()
        self.folder.close()

    async def asked(self, request: msg.AnyRequest) -> Any:
        answer = Answer()
        self.replica.step(RequestReceived(answer, request))
        await until(lambda: answer.response is not None)
        return answer.response

    async def hears_leader_b(self) -> float:
        """It says for how many seconds it keeps to this leader."""
        heartbeat = msg.AppendEntriesRequest(
            term=1, sender_id="b", sender_address="127.0.0.1:2", leader="127.0.0.1:2"
        )
        response = await self.asked(heartbeat)
        return float(response.promise_ms / 1000)

    async def votes_for_c(self) -> bool:
        vote = msg.RequestVoteRequest(
            term=2,
            sender_id="c",
            sender_address="127.0.0.1:3",
            candidate="127.0.0.1:3",
            last_log_index=1,
            last_log_term=1,
        )
        return bool((await self.asked(vote)).granted)


def played(scenario: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60.0))


def test_a_restart_with_a_tenth_of_the_timeout_keeps_to_the_promise(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = [1000.0]
        life = Life(tmp_path, LONG, clock)
        await (await life.begin()).bootstrap(THREE)
        assert await life.hears_leader_b() == 500.0
        await life.end()
        for elapsed in (0.0, 51.0, 499.0):
            clock[0] = 1000.0 + elapsed
            life = Life(tmp_path, SHORT, clock)
            assert life.folder.promise_s == 500.0
            await life.begin()
            clock[0] += 60.0  # more than it promises now
            assert not await life.votes_for_c()
            await life.end()
        assert not life.folder.promise_s < 500.0, "each of them may have repeated the promise"
        life = Life(tmp_path, SHORT, clock)
        await life.begin()
        clock[0] += 500.0
        assert await life.votes_for_c()
        await life.end()

    played(scenario)


def test_what_has_run_out_is_not_kept_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = [1000.0]
        life = Life(tmp_path, LONG, clock)
        await life.begin()
        await life.end()
        short = Settings(election_timeout_s=0.5, heartbeat_interval_s=0.05)
        clock[0] = 2000.0
        life = Life(tmp_path, short, clock)
        replica = await life.begin()
        assert life.folder.promise_s == 500.0
        clock[0] += 499.9  # what it may have promised to anybody runs 0.5 s at most
        replica.reconfigure(replica.options)
        await until(lambda: life.folder.promise_s == 0.5)
        await life.end()

    played(scenario)


def test_a_replica_of_a_service_keeps_it_in_its_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1, settings=Settings(election_timeout_s=0.75))
        await cluster.start()
        await cluster.leader()
        await cluster.stop()
        with ReplicaFolder.open(tmp_path / "a", server_id="a", run=b"12345678") as folder:
            assert folder.promise_s == 0.75

    played(scenario)


def test_a_longer_timeout_is_promised_when_the_disk_knows_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = [1000.0]
        life = Life(tmp_path, SHORT, clock)
        replica = await life.begin()
        await replica.bootstrap(THREE)
        assert life.folder.promise_s == 50.0
        replica.reconfigure(Options(settings=LONG))
        assert await life.hears_leader_b() <= life.folder.promise_s
        await until(lambda: replica.node.settings is LONG)
        assert life.folder.promise_s == 500.0
        assert await life.hears_leader_b() == 500.0
        replica.reconfigure(Options(settings=SHORT))
        assert replica.node.settings is SHORT, "a shorter one needs no disk"
        assert await life.hears_leader_b() == 500.0, "until the longer one has run out"
        assert life.folder.promise_s == 500.0
        await life.end()

    played(scenario)


def test_no_longer_promise_is_given_when_the_disk_cannot_keep_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = [1000.0]
        life = Life(tmp_path, SHORT, clock)
        replica = await life.begin()
        await replica.bootstrap(THREE)
        failures: list[BaseException] = []
        replica.on_failure.append(failures.append)
        (tmp_path / "quorate.standing").unlink()
        (tmp_path / "quorate.standing").mkdir()
        replica.reconfigure(Options(settings=LONG))
        await until(lambda: failures)
        assert replica.node.settings is SHORT
        assert isinstance(failures[0], QuorateError)
        assert "quorate.standing" in str(failures[0])
        await life.end()

    played(scenario)
