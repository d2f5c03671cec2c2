"""A copied data folder: two servers that believe to be one voter.

The leader's old rule moved the voter's address to and fro, 50 entries a minute, and a majority
could be counted that was none. Now an address stays while the old one answers as that ID.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process


def membership_index(servers: GossipingServers, number: int) -> int:
    index: int = servers.ask(number, "/v1/operator/raft/configuration?stale").json["Index"]
    return index


def copy_folder(source: Path, target: Path) -> None:
    """Copy the data folder of a server that does not run; a socket cannot be copied."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))


def ended(servers: GossipingServers, number: int) -> str:
    """What a server said when it ended by itself."""
    process = servers.processes[number]
    until(lambda: process.poll() is not None, f"s{number} to end")
    assert process.returncode == 1
    del servers.processes[number]
    return servers.log(number)


def test_the_second_of_two_copies_stays_out_and_both_are_named(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write("binpack")
        leader = servers.leader()
        original = (leader + 1) % 3
        copy = servers.add("copy")
        servers.kill(original)
        copy_folder(servers.data_dir(original), servers.data_dir(copy))
        servers.start(copy)
        server_id = servers.server_id(original)
        until(
            lambda: servers.rows(leader)[server_id]["Address"] == servers.rpc_address(copy),
            "the copy to be where the voter is",
        )
        before = membership_index(servers, leader)
        servers.start(original)
        said = ended(servers, original)
        assert "must not take part" in said
        assert "two copies of one data folder" in said
        for place in (servers.rpc_address(original), servers.rpc_address(copy)):
            assert place in said
            servers.log_says(leader, place)
        servers.log_says(leader, "two copies of one data folder")
        assert membership_index(servers, leader) == before
        servers.write("spread", leader)

        # The next start takes a new ID: one more server, and the data of old is kept aside.
        servers.start(original)
        until(lambda: servers.server_id(original) != server_id, "a new ID")
        until(lambda: len(servers.rows(leader)) == 4, "a fourth member")
        until(lambda: servers.written(original) == "spread", "it to have what was acknowledged")
        assert list((servers.data_dir(original) / "server").glob("rolled-back-*"))
        assert servers.rows(leader)[server_id]["Address"] == servers.rpc_address(copy)


def test_a_copy_stays_out_while_the_original_runs(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        leader = servers.leader()
        original = (leader + 1) % 3
        copy = servers.add("copy")
        servers.kill(original)
        copy_folder(servers.data_dir(original), servers.data_dir(copy))
        servers.start(original)
        server_id = servers.server_id(original)
        until(lambda: servers.health(original) == "ok", "the original to be well")
        servers.write("binpack", leader)
        until(
            lambda: servers.ask(leader, "/v1/operator/upgrade").json["Level"] >= 1,
            "all keys to be on record",
        )
        before = membership_index(servers, leader)
        servers.start(copy)
        said = ended(servers, copy)
        assert "must not take part" in said
        assert server_id in said
        assert membership_index(servers, leader) == before
        until(lambda: servers.health(original) == "ok", "the original to be alone again")
        servers.write("spread", leader)


def test_a_rolled_back_server_never_votes_and_comes_back_with_a_new_id(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write("binpack")
        leader = servers.leader()
        victim = (leader + 1) % 3
        other = 3 - leader - victim
        server_id = servers.server_id(victim)
        servers.kill(victim)
        saved = tmp_path / "snapshot-of-the-machine"
        copy_folder(servers.data_dir(victim), saved)
        for _ in range(2):  # it runs on, and acknowledges
            servers.start(victim)
            until(lambda: servers.health(victim) == "ok", "it to be well")
            servers.write("spread", leader)
            until(lambda: servers.written(victim) == "spread", "it to have the write")
            servers.kill(victim)
        shutil.rmtree(servers.data_dir(victim))
        copy_folder(saved, servers.data_dir(victim))
        term = int(servers.stats(leader)["term"])

        # The leader dies: with the old copy's vote the other server could lead without a write.
        servers.kill(leader)
        servers.start(victim)
        said = ended(servers, victim)
        assert "must not take part" in said
        assert f"{server_id} runs on an old copy of its data folder" in said
        servers.log_says(other, f"{server_id} runs on an old copy of its data folder")
        assert int(servers.stats(other)["term"]) == term
        assert servers.stats(other)["state"] != "Leader"

        servers.start(leader, victim)
        until(lambda: servers.server_id(victim) != server_id, "a new ID")
        until(lambda: servers.written(victim) == "spread", "it to have what was acknowledged")
