"""A disk that fills up and a log near its bound are told before writes are refused."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from server_cluster import cluster, until

from quorate.raft import Settings
from quorate.replica.disk import Room
from quorate.replica.options import Options
from quorate.server.room import watch
from quorate.server.room.watch import TOLD_AGAIN_S, RoomWatch

MIB = 1 << 20
RESERVE = 16 * MIB


class FakeReplica:
    """A replica with this much room, which has a log of this size."""

    def __init__(self, free: int, size: int = 0, *, bound: int = 1 << 30) -> None:
        self.options = Options(settings=Settings(log_bytes_max=bound))
        self.storage_full = False
        self.log = self
        self.free, self.size = free, size

    @property
    def disk_room(self) -> Room:
        return Room(self.free, RESERVE, Path("/data/raft/log"), "s1.global (id-1)", RESERVE)

    def size_bytes(self) -> int:
        return self.size


def watching(replica: FakeReplica, state_bytes: int = 0) -> RoomWatch:
    return RoomWatch(cast("Any", replica), lambda: state_bytes)


@pytest.mark.parametrize(
    ("free", "size", "bound", "state", "words"),
    [
        (64 * MIB, 0, 1 << 30, 0, []),
        (64 * MIB - 1, 0, 1 << 30, 0, ["64.0 MiB free, 16.0 MiB needed", "of s1.global (id-1)"]),
        # Two more snapshots have room, or not.
        (216 * MIB, 0, 1 << 30, 100 * MIB, []),
        (215 * MIB, 0, 1 << 30, 100 * MIB, ["215.0 MiB free", "operator raft compact"]),
        # Four fifths of three quarters of the bound.
        (1 << 40, 614 * MIB, 1 << 30, 0, []),
        (1 << 40, 615 * MIB, 1 << 30, 0, ["the log takes 615.0 MiB", "from 768.0 MiB on"]),
        (1 << 40, 1 << 50, 0, 0, []),
        (MIB, 615 * MIB, 1 << 30, 0, ["1.0 MiB free", "; the log takes 615.0 MiB"]),
    ],
)
def test_when_it_warns(free: int, size: int, bound: int, state: int, words: list[str]) -> None:
    warning = watching(FakeReplica(free, size, bound=bound), state).warning()
    assert bool(warning) is bool(words)
    for word in words:
        assert word in warning


def test_a_full_disk_and_one_that_was_not_looked_at() -> None:
    replica = FakeReplica(MIB)
    replica.storage_full = True
    assert watching(replica).warning().startswith("the disk is full, writes are refused: 1.0 MiB")

    class Fresh(FakeReplica):
        disk_room = Room()

    assert not watching(Fresh(0)).warning()


def test_the_log_tells_it_at_a_bounded_rate(caplog: pytest.LogCaptureFixture) -> None:
    replica = FakeReplica(MIB, 615 * MIB)
    room = watching(replica)
    with caplog.at_level(logging.INFO, "quorate.server"):
        for second in range(int(TOLD_AGAIN_S)):
            room.look(float(second))
        assert [line.levelno for line in caplog.records] == [logging.WARNING] * 2
        room.look(TOLD_AGAIN_S)
        assert len(caplog.records) == 4
        # It comes and goes: still one line a minute, and one for the end.
        for second in range(1, 40, 2):
            replica.free = replica.size = 1 << 40 if second % 4 == 1 else 0
            room.look(TOLD_AGAIN_S + second)
    assert len(caplog.records) == 6
    assert caplog.records[-1].getMessage().startswith("there is room again (log): ")


def test_health_and_statistics_say_it_of_each_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader's list has the others too; the answer to `health` stays 200."""
    monkeypatch.setattr(watch, "LOW_RESERVES", 1 << 40)

    async def scenario() -> None:
        async with cluster(tmp_path, 2) as servers:
            leader = await servers.leader()
            await until(lambda: len(servers.running[leader].autopilot.warnings()) == 2)
            answer = await servers.ask(leader, "/v1/operator/autopilot/health")
            told = json.loads(answer.body)["Warnings"]
            for address, warning in zip(sorted(servers.addresses), sorted(told), strict=True):
                assert warning.startswith(f"{address}: the disk has little room: ")
            agent = await servers.ask(leader, "/v1/agent/health")
            assert agent.status == 200
            said = json.loads(agent.body)["server"]
            assert said["ok"]
            assert said["message"].startswith("the disk has little room: ")
            raft = msgspec.json.decode((await servers.ask(0, "/v1/agent/self")).body)["stats"]
            assert int(raft["raft"]["log_bytes"]) > 0
            assert raft["raft"]["log_bytes_max"] == str(1 << 30)
            views = await servers.ask(0, "/v1/operator/raft/views?details")
            disks = [each["Details"]["Disk"] for each in json.loads(views.body)["Servers"]]
            assert all(disk["Warning"].startswith("the disk has little") for disk in disks)
            monkeypatch.undo()
            answer = await servers.ask(1 - leader, "/v1/agent/health")
            assert json.loads(answer.body)["server"] == {"message": "ok", "ok": True}

    asyncio.run(scenario())
