"""A full disk under a running server: writes are refused, reads go on, and with room all works.

That the log stays below its bound whatever is written is in `tests/replica/room/test_log_bound.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_run import Ran, run
from register_writers import PATH, body, read
from server_processes import Servers, until
from small_disks import DISK_BYTES, fill, on_small_disk, small_disk

pytestmark = pytest.mark.process

SMALLER_THAN_THE_RESERVE = 12 << 20  # of a large disk, 16 MiB stay free


def compact(servers: Servers) -> Ran:
    """The first server."""
    return run("operator", "raft", "compact", f"-address=http://127.0.0.1:{servers.http[0]}")


@pytest.mark.parametrize("size", [DISK_BYTES, SMALLER_THAN_THE_RESERVE])
def test_a_server_alone_refuses_writes_until_there_is_room(tmp_path: Path, size: int) -> None:
    with on_small_disk(tmp_path, 1, 0, size) as servers:
        assert servers.ask(0, PATH, "PUT", body(1)).status == 200
        ballast = fill(servers.data_dir(0))
        until(lambda: servers.stats(0)["disk_full"] == "true", "the full disk to be seen")
        refused = servers.ask(0, PATH, "PUT", body(2))
        assert refused.status == 507
        assert refused.text.startswith("no space left on")
        assert re.search(r": 0\.\d MiB free, [0-9.]+ MiB needed in /.+/raft/log", refused.text)
        assert "\n" not in refused.text
        server = servers.ask(0, "/v1/operator/raft/facts").json["ID"]
        assert refused.text.endswith(f" of s0.global ({server})")
        assert read(servers, 0).value == 1
        health = servers.ask(0, "/v1/agent/health")
        assert health.status == 200
        assert "the disk is full, writes are refused: 0." in health.text
        refused_too = compact(servers)
        assert refused_too.code == 1
        assert "s0.global" in refused_too.stdout
        assert "no room for a snapshot: about 1" in refused_too.stderr
        until(lambda: "the disk is full, writes are refused" in servers.log(0), "the log to say so")
        ballast.unlink()
        until(lambda: servers.ask(0, PATH, "PUT", body(3)).status == 200, "writes to go on")
        assert servers.stats(0)["disk_full"] == "false"
        assert servers.log(0).count("the disk is full, writes are refused") == 1
        assert compact(servers).code == 0
        servers.kill(0)
        servers.start()
        after = until(lambda: read(servers, servers.leader()), "a read after the restart")
        assert after.value == 3
        assert "Traceback" not in servers.log(0)


def test_a_leader_without_room_makes_way_for_one_that_has(tmp_path: Path) -> None:
    with on_small_disk(tmp_path, 3, 0) as servers:
        assert servers.voters() == 3
        servers.move_leadership_to(0)
        ballast = fill(servers.data_dir(0))
        until(lambda: servers.leader() != 0, "another leader")
        until(lambda: servers.ask(1, PATH, "PUT", body(7)).status == 200, "a write")
        leader = servers.leader()
        assert "no space left on this leader's disk" in servers.log(0)
        ballast.unlink()
        newest = read(servers, leader)
        until(lambda: read(servers, 0, "?stale") == newest, "the full one to catch up")


def test_a_follower_without_room_holds_up_nobody_and_catches_up(tmp_path: Path) -> None:
    with on_small_disk(tmp_path, 3, 0) as servers:
        if servers.leader() == 0:
            target = next(
                row["ID"]
                for row in servers.ask(0, "/v1/operator/raft/configuration").json["Servers"]
                if not row["Leader"]
            )
            path = f"/v1/operator/raft/transfer-leadership?id={target}"
            assert servers.ask(0, path, "PUT").status == 200
        until(lambda: servers.leader() != 0, "a leader with room")
        leader = servers.leader()
        term = servers.stats(leader)["term"]
        ballast = fill(servers.data_dir(0))
        for value in range(1, 50):
            assert servers.ask(leader, PATH, "PUT", body(value)).status == 200
        until(lambda: servers.stats(0)["disk_full"] == "true", "the follower to say so")
        ballast.unlink()
        newest = read(servers, leader)
        assert newest.value == 49
        until(lambda: read(servers, 0, "?stale") == newest, "the follower to catch up")
        assert servers.stats(leader)["term"] == term
        assert "Traceback" not in servers.log(0)


def test_a_full_follower_elects(tmp_path: Path) -> None:
    """Entries wait for room at one server, the leader dies: the two that are left elect."""
    with on_small_disk(tmp_path, 3, 0) as servers:
        servers.move_leadership_to(1)
        ballast = fill(servers.data_dir(0))
        for value in range(1, 600):  # more than the room that the log has taken ahead
            assert servers.ask(1, PATH, "PUT", body(value)).status == 200
        until(lambda: servers.stats(0)["disk_full"] == "true", "the follower to say so")
        servers.kill(1)
        until(lambda: servers.leader() == 2, "an election by a full server")
        term = servers.stats(2)["term"]
        ballast.unlink()
        until(lambda: servers.ask(2, PATH, "PUT", body(600)).status == 200, "a write")
        assert servers.stats(2)["term"] == term  # it kept its leader while it was full
        newest = read(servers, 2)
        assert newest.value == 600
        until(lambda: read(servers, 0, "?stale") == newest, "the full one to catch up")
        assert "Traceback" not in servers.log(0)


@pytest.mark.long
def test_compaction_makes_room_on_a_disk_that_is_full_to_the_last_byte(tmp_path: Path) -> None:
    """The file that fills it stays: what the log has twice is enough to go on."""
    settings = {"raft_trailing_logs": 10240, "raft_snapshot_threshold": 16}
    servers = Servers(tmp_path, 1, raft_snapshot_interval="5s", **settings)
    large = {"Path": "app", "Items": {"a": "x" * 60_000}}
    with small_disk(servers.data_dir(0), DISK_BYTES):
        servers.start()
        try:
            until(lambda: servers.ask(0, "/v1/var/app", "PUT", large).status == 200, "a write")
            for _ in range(350):
                assert servers.ask(0, "/v1/var/app", "PUT", large).status == 200
            until(lambda: snapshot_is_near(servers), "a snapshot of nearly all")
            assert int(servers.stats(0)["log_bytes"]) > 16 << 20
            ballast = fill(servers.data_dir(0))
            until(lambda: servers.stats(0)["disk_full"] == "true", "the full disk to be seen")
            assert servers.ask(0, "/v1/var/app", "PUT", large).status == 507
            assert "0.0 MiB ->" not in compact(servers).stdout
            until(lambda: servers.stats(0)["disk_full"] == "false", "room")
            until(lambda: servers.ask(0, "/v1/var/app", "PUT", large).status == 200, "writes")
            assert ballast.exists()
            assert int(servers.stats(0)["log_bytes"]) < 4 << 20
            assert "Traceback" not in servers.log(0)
        finally:
            servers.stop_all()


def snapshot_is_near(servers: Servers) -> bool:
    """It writes on, so that one becomes due."""
    servers.ask(0, PATH, "PUT", body(1))
    stats = servers.stats(0)
    return int(stats["last_snapshot_index"]) > int(stats["last_log_index"]) - 64
