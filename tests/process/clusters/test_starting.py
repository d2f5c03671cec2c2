"""What cannot start says so in one line; what comes over the RPC port harms nobody."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, running, until

pytestmark = pytest.mark.process


def refused(servers: Servers, number: int) -> str:
    """Start a server that must give up; its last line, which must be the only one of the error."""
    command = [sys.executable, "-m", "quorate", "agent", "-config", str(servers.config(number))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    errors = [line for line in ended.stderr.splitlines() if not line.startswith("==> WARNING")]
    assert len(errors) == 1, ended.stderr
    return errors[0]


def change(servers: Servers, number: int, **keys: Any) -> None:
    config = json.loads(servers.config(number).read_text())
    servers.config(number).write_text(json.dumps({**config, **keys}))


def test_a_data_folder_in_use_names_the_process(tmp_path: Path) -> None:
    with running(tmp_path, 1) as servers:
        line = refused(servers, 0)
        assert f"in use by process {servers.processes[0].pid}" in line


def test_a_port_in_use_names_the_ports(tmp_path: Path) -> None:
    with running(tmp_path, 1) as servers:
        change(servers, 0, data_dir=str(tmp_path / "other"))
        line = refused(servers, 0)
        assert "address already in use" in line
        assert str(servers.rpc[0]) in line


def test_the_data_of_another_cluster_is_refused_with_both_names(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    with running(folder, 1):
        pass
    with running(tmp_path, 3) as servers:
        old = json.loads((folder / "s0" / "server" / "quorate.json").read_text())
        number = next(n for n in range(3) if n != servers.leader())
        servers.kill(number)
        servers.wipe(number)
        no_socket = shutil.ignore_patterns("*.sock")  # copytree has no way with one
        shutil.copytree(folder / "s0", servers.data_dir(number), ignore=no_socket)
        line = refused(servers, number)
        assert "belongs to cluster" in line
        assert old["cluster_id"] in line


def test_a_full_stop_and_start_keeps_membership_and_data(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        before = servers.ask(servers.leader(), "/v1/operator/raft/configuration").json
        servers.kill(0, 1, 2)
        servers.start()
        after = servers.ask(servers.leader(), "/v1/operator/raft/configuration").json
        assert [s["ID"] for s in after["Servers"]] == [s["ID"] for s in before["Servers"]]
        assert after["Index"] == before["Index"] > 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00" * 64, id="no known first byte"),
        pytest.param(b"\x04\x16\x03\x01", id="TLS"),
        pytest.param(b"\x06" + b"\x00" * 12, id="multiplex"),
        pytest.param(b"\x02\x09\x80", id="an unknown Raft request"),
        pytest.param(b"\x02\x00\xdf\xff\xff\xff\xff", id="a map of four thousand million keys"),
        pytest.param(b"\x02\x00\x81\xa4Term\xd0\xff", id="a negative term"),
        pytest.param(b"\x02\x00" + b"\x91" * 5000, id="nested deeply"),
        pytest.param(b"\x02" + os.urandom(4000).replace(b"\x02", b"\x99"), id="random bytes"),
        pytest.param(b"GET /v1/status/leader HTTP/9.9\r\nx\r\n\r\n", id="no HTTP"),
    ],
)
def test_what_is_not_spoken_closes_the_connection(data: bytes, one: Servers) -> None:
    with socket.create_connection(("127.0.0.1", one.rpc[0]), timeout=8) as connection:
        connection.sendall(data)
        received = b""
        try:
            while chunk := connection.recv(4096):
                received += chunk
        except ConnectionResetError:
            pass
    assert not received or received.startswith(b"HTTP/1.1 4")
    assert one.ask(0, "/v1/status/leader").status == 200
    assert "Traceback" not in one.log(0)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("one"), 1) as servers:
        yield servers


def test_a_follower_forwards_and_says_so_in_errors(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        follower = (leader + 1) % 3
        path = "/v1/operator/raft/configuration"
        assert servers.ask(follower, path).json == servers.ask(leader, path).json
        unknown = "/v1/operator/raft/peer?id=nobody"
        text = 'id "nobody" was not found in the Raft configuration'
        assert servers.ask(leader, unknown, "DELETE").text == text
        assert servers.ask(follower, unknown, "DELETE").text == f"rpc error: {text}"
        body = {"SchedulerAlgorithm": "spread"}
        scheduler = "/v1/operator/scheduler/configuration"
        assert servers.ask(follower, scheduler, "PUT", body).json["Updated"] is True
        answer = servers.ask(leader, scheduler).json
        assert answer["SchedulerConfig"]["SchedulerAlgorithm"] == "spread"


def test_another_region_is_asked_through_this_one(tmp_path: Path) -> None:
    east, west = tmp_path / "east", tmp_path / "west"
    east.mkdir()
    west.mkdir()
    with running(east, 1) as first:
        second = Servers(west, 1)
        config = json.loads(second.config(0).read_text())
        server = {
            "enabled": True,
            "bootstrap_expect": 1,
            "gossip": "off",
            "retry_join": [f"127.0.0.1:{first.rpc[0]}"],
        }
        change(second, 0, region="west", server={**server}, name=config["name"])
        second.start()
        try:
            second.leader()
            until(
                lambda: first.ask(0, "/v1/regions").json == ["global", "west"],
                "the other region to be known",
            )
            leader = first.ask(0, "/v1/status/leader?region=west")
            assert leader.json == f"127.0.0.1:{second.rpc[0]}"
            unknown = first.ask(0, "/v1/status/leader?region=north")
            assert (unknown.status, unknown.text) == (500, "No path to region")
        finally:
            second.stop_all()
