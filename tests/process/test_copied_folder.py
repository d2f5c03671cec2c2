"""A copied data folder: two servers that believe to be one voter.

The leader's old rule moved the voter's address to and fro, 50 entries a minute, and a majority
could be counted that was none. Now an address stays while the old one answers as that ID.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

QUIET_S = 5.0


def membership_index(servers: GossipingServers, number: int) -> int:
    index: int = servers.ask(number, "/v1/operator/raft/configuration?stale").json["Index"]
    return index


def test_the_copy_and_the_original_are_named_and_no_address_moves(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write("binpack")
        leader = servers.leader()
        original = (leader + 1) % 3
        rest = [n for n in range(3) if n != original]
        copy = servers.add("copy")
        servers.kill(original)
        no_socket = shutil.ignore_patterns("*.sock")  # copytree has no way with one
        shutil.copytree(servers.data_dir(original), servers.data_dir(copy), ignore=no_socket)
        servers.start(copy)
        server_id = servers.server_id(original)
        until(
            lambda: servers.rows(leader)[server_id]["Address"] == servers.rpc_address(copy),
            "the copy to be where the voter is",
        )
        servers.start(original)
        names = (servers.node(original), servers.node(copy))
        said = {}

        def both_say_so() -> bool:
            said.update({n: servers.health(n) for n in (original, copy)})
            return all(name in text for name in names for text in said.values())

        until(both_say_so, lambda: f"both to say that there are two: {said}")
        servers.log_says(leader, f"two servers run with the ID {server_id}")
        before = membership_index(servers, leader)
        end = time.monotonic() + QUIET_S
        while time.monotonic() < end:
            assert membership_index(servers, leader) == before
            time.sleep(0.1)  # between two looks, not in place of one
        servers.write("spread", leader)
        assert all(servers.health(n) == "ok" for n in rest)
        views = servers.run(leader, "operator", "raft", "views")
        assert views.code == 2, views
        assert views.out.count("two servers run with this ID") == 2, views.out

        # The copy goes: the original is the voter again, with all that was acknowledged.
        servers.kill(copy)
        servers.all_vote(0, 1, 2)
        until(lambda: servers.health(original) == "ok", "the original to be well")
        until(lambda: servers.written(original) == "spread", "it to have what was acknowledged")
