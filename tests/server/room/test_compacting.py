"""The log of servers is compacted when an operator asks for it, without a leader too."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from server_cluster import ServerCluster, cluster, until

from quorate.levels import LEVEL
from quorate.raft import Settings
from quorate.server.room import compacting
from quorate.shapes.compaction import Compacted
from quorate.state.tables import root_keys

PATH = "/v1/operator/raft/compact"
VALUE = "x" * 60_000
WRITES = 40


async def compact(servers: ServerCluster, number: int, query: str = "") -> list[dict[str, Any]]:
    answer = await servers.ask(number, PATH + query, "PUT")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = json.loads(answer.body)["Servers"]
    return found


async def write(servers: ServerCluster, number: int, count: int = WRITES) -> None:
    stores = [each.machine.store for each in servers.running.values()]
    await until(lambda: all(each.level == LEVEL and each.rows(root_keys.TABLE) for each in stores))
    body = json.dumps({"Path": "app", "Items": {"a": VALUE}})
    for _ in range(count):
        answer = await servers.ask(number, "/v1/var/app", "PUT", body)
        assert answer.status == 200, answer.body


def test_all_one_and_a_server_without_a_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        # All that is applied would stay for followers that lag.
        async with cluster(tmp_path, settings=Settings(trailing_logs=10_000)) as servers:
            leader = await servers.leader()
            await write(servers, leader)
            first, second = (n for n in servers.running if n != leader)
            index = servers.running[leader].replica.node.commit_index
            for server in servers.running.values():
                await until(lambda: server.replica.node.applied_index >= index)  # noqa: B023
            answers = await compact(servers, first, "?all")
            assert [each["Node"] for each in answers] == ["s0.global", "s1.global", "s2.global"]
            for each in answers:
                assert (each["Error"], each["Stays"]) == ("", "")
                assert each["LogBytesBefore"] > WRITES * len(VALUE) > 2 * each["LogBytesAfter"]
                assert 0 < each["SnapshotBytesAfter"] < 4 * len(VALUE)
                assert each["Index"] >= index
                assert each["LogBytesMax"] == 1 << 30
                assert each["DiskFreeBytes"] > 0
            # By name and by ID, through another one; nothing is left to drop.
            me = servers.running[second].replica.server_id
            for query in (f"?server=s{second}.global", f"?server={me}"):
                (one,) = await compact(servers, first, query)
                assert (one["ID"], one["Error"]) == (me, "")
            unknown = await servers.ask(first, PATH + "?server=nobody", "PUT")
            assert (
                unknown.status,
                b'"nobody" is known here; names have the region' in unknown.body,
            ) == (404, True)
            both = await servers.ask(first, PATH + "?all&server=s0.global", "PUT")
            assert both.status == 400
            await write(servers, leader, 1)
            await servers.stop(leader, second)
            replica = servers.running[first].replica
            await until(lambda: not replica.node.leader_id)
            answers = await compact(servers, first, "?all")
            errors = {each["Node"]: each["Error"] for each in answers}
            assert errors.pop(f"s{first}.global") == ""
            assert all("connection refused" in error for error in errors.values()), errors
            assert replica.node.log.snapshot_index == replica.node.applied_index
            (alone,) = await compact(servers, first)
            uncommitted = replica.node.log.last_index > replica.node.applied_index
            assert alone["Stays"].endswith("whether they are committed") is uncommitted
            assert not servers.fatal

    asyncio.run(scenario())


def test_without_room_for_a_snapshot_what_the_last_one_has_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with cluster(tmp_path, 1, settings=Settings(trailing_logs=10_000)) as servers:
            replica = servers.running[0].replica
            await write(servers, 0)
            assert await replica.snapshot_now() > 0
            await write(servers, 0, 1)
            covered, before = replica.node.log.snapshot_index, replica.log.size_bytes()
            monkeypatch.setattr(compacting, "free_bytes", lambda _: 1_000_000)
            (found,) = await compact(servers, 0)
            size = found["SnapshotBytesBefore"]
            assert "snapshot: about 1.1 MiB are needed, and 0.9 MiB are free in " in found["Error"]
            assert found["Next"] == "free 0.2 MiB on that disk, then run this again"
            assert (found["Index"], found["SnapshotBytesAfter"]) == (covered, size)
            assert before == found["LogBytesBefore"] > 2 * found["LogBytesAfter"]
            monkeypatch.undo()
            (found,) = await compact(servers, 0)
            assert (found["Error"], found["Index"] > covered) == ("", True)

    asyncio.run(scenario())


def test_what_may_not_be_compacted_and_a_snapshot_under_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with cluster(tmp_path, 1) as servers:
            server = servers.running[0]
            replica = server.replica
            await write(servers, 0, 2)
            # Those that ask at the same time are one, and a snapshot under way is waited for.
            own = server.compacting.own
            applied = replica.node.applied_index
            _, *found = await asyncio.gather(replica.snapshot_now(), own(), own())
            assert found[0] is found[1]
            assert isinstance(found[0], Compacted)
            assert not found[0].error
            # A server writes by itself, too: entries may come while the snapshot is made.
            assert applied <= found[0].index <= replica.node.applied_index
            replica.node.prepared = "a recovery is prepared"
            index = found[0].index
            await write_nothing(servers)
            (found_,) = await compact(servers, 0)
            assert (found_["Error"], found_["Index"]) == ("a recovery is prepared", index)
            replica.node.prepared = ""

    asyncio.run(scenario())


async def write_nothing(servers: ServerCluster) -> None:
    """Prepared, it takes no writes."""
    assert servers.running[0].replica.node.prepared
    await asyncio.sleep(0)
