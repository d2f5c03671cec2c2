"""Servers under new names, and two under one: advice never names a server that lives."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process

LIST = ("operator", "raft", "list-peers", "-json")


def statuses(servers: GossipingServers, number: int) -> dict[str, str]:
    """By ID, as the leader tells."""
    said = servers.run(number, *LIST)
    assert said.code == 0, said.err
    return {row["ID"]: row["Status"] for row in json.loads(said.out)["Servers"]}


def stay_alive(servers: GossipingServers, asked: int, seconds: float) -> None:
    """For so long every server of the configuration is called alive: what is asserted is a state
    that must not end, so this takes its time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = {row_id: row["Status"] for row_id, row in servers.rows(asked).items()}
        assert set(found.values()) == {"alive"}, (found, servers.members(asked))
        time.sleep(0.1)  # between two looks, not in place of one
    assert set(statuses(servers, asked).values()) == {"alive"}


def test_a_voter_under_a_new_name_is_the_same_server(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as servers:
        leader = servers.leader()
        number = (leader + 1) % 3
        old = servers.node(number)
        servers.kill(number)
        until(lambda: servers.members(leader).get(old) == "failed", "the failure", 60)
        servers.names[number] = "renamed"
        servers.configure()
        servers.start(number)
        until(lambda: servers.members(leader).get("renamed.global") == "alive", "the new name", 60)
        until(lambda: set(statuses(servers, leader).values()) == {"alive"}, "all to be alive", 30)
        said = servers.run(leader, "server", "force-leave", old)
        assert said.code == 0, said.err
        stay_alive(servers, leader, 5)
        assert len(statuses(servers, leader)) == 3
        servers.write("spread", *range(3))


def test_of_two_with_one_name_none_is_called_removable(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as servers:
        leader = servers.leader()
        twin = servers.add("twin")
        servers.names[twin] = servers.names[(leader + 1) % 3]
        servers.expect = 3
        servers.configure()
        servers.start(twin)
        until(lambda: servers.ask(twin, "/v1/agent/self").status == 200, "its API", 30)
        text = f"two servers call themselves {servers.node(twin)}"
        both = ((leader + 1) % 3, twin)
        for number in both:
            until(lambda n=number: text in servers.health(n), f"health of {number}", 60)  # type: ignore[misc]
            said = servers.run(number, "operator", "raft", "views", "-json")
            assert said.code == 2, said.err
            named = [v["Node"] for v in json.loads(said.out)["Servers"] if v["State"] == "namesake"]
            assert set(named) == {servers.node(twin)}
        stay_alive(servers, leader, 10)
