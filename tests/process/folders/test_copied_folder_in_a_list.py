"""Two bodies of one server where the servers are a fixed list: also if their names are the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from register_writers import PATH, body, read
from server_processes import Servers, free_ports, until

pytestmark = pytest.mark.process

CONFIGURATION = "/v1/operator/raft/configuration"
UPGRADE = "/v1/operator/upgrade"


def copied(servers: Servers, original: int) -> int:
    """The number of a copy of that server, which is stopped: all but its place is the same."""
    copy = len(servers.http)
    for one, port in zip((servers.http, servers.rpc, servers.serf), free_ports(3), strict=True):
        one.append(port)
    config = json.loads(servers.config(original).read_text())
    ports = {"http": servers.http[copy], "rpc": servers.rpc[copy], "serf": servers.serf[copy]}
    config |= {"data_dir": str(servers.data_dir(copy)), "ports": ports}
    config["server"]["initial_servers"].append(servers.rpc_address(copy))
    servers.config(copy).write_text(json.dumps(config))
    ignored = shutil.ignore_patterns("*.sock")
    shutil.copytree(servers.data_dir(original), servers.data_dir(copy), ignore=ignored)
    return copy


def index_and_address(servers: Servers, number: int, server_id: str) -> tuple[int, str]:
    found = servers.ask(number, CONFIGURATION).json
    address = next(row["Address"] for row in found["Servers"] if row["ID"] == server_id)
    return found["Index"], address


@pytest.mark.parametrize("first", ["the original", "the copy"])
def test_the_second_of_two_bodies_with_one_name_stops(tmp_path: Path, first: str) -> None:
    servers = Servers(tmp_path, 3)
    servers.start()
    try:
        leader = servers.leader()
        until(lambda: servers.ask(leader, UPGRADE).json["Level"] >= 1, "all keys to be on record")
        original = (leader + 1) % 3
        server_id = (servers.data_dir(original) / "server" / "node-id").read_text().strip()
        servers.kill(original)
        copy = copied(servers, original)
        one, other = (original, copy) if first == "the original" else (copy, original)
        servers.start(one)
        until(
            lambda: index_and_address(servers, leader, server_id)[1] == servers.rpc_address(one),
            lambda: f"it to be where it is: {servers.ask(leader, CONFIGURATION)} {servers.rpc}",
        )
        until(lambda: servers.ask(one, "/v1/agent/health").status == 200, "it to be well")
        before = index_and_address(servers, leader, server_id)
        servers.start(other)
        process = servers.processes[other]
        until(lambda: process.poll() is not None, lambda: servers.log(other))
        del servers.processes[other]
        assert process.returncode == 1
        assert "two copies of one data folder" in servers.log(other)
        until(
            lambda: all(servers.rpc_address(n) in servers.log(leader) for n in (one, other)),
            "the leader to name both",
        )
        assert "two copies of one data folder" in servers.log(leader)
        assert index_and_address(servers, leader, server_id) == before
        assert servers.ask(leader, PATH, "PUT", body(7)).status == 200
        until(lambda: read(servers, one, "?stale").value == 7, "the first one to follow")
    finally:
        servers.stop_all()
