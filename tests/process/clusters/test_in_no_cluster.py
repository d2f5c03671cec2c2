"""A server that belongs to no cluster says so, and why, although it can hear a leader."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from gossiping_servers import cluster
from server_processes import until

pytestmark = pytest.mark.process


def key(letter: bytes) -> str:
    return base64.b64encode(letter * 32).decode()


def test_a_wiped_server_with_another_key_is_not_healthy(tmp_path: Path) -> None:
    with cluster(tmp_path, server={"encrypt": key(b"a")}) as servers:
        number = (servers.leader() + 1) % 3
        servers.kill(number)
        servers.wipe(number)
        servers.keys[number]["server"]["encrypt"] = key(b"b")
        servers.configure()
        servers.start(number)
        said: list[str] = []

        def named() -> bool:
            answer = servers.ask(number, "/v1/agent/health")
            said.append(f"{answer.status} {answer.text}")
            return answer.status == 500 and "No installed keys could decrypt" in answer.text

        until(named, lambda: f"the reason; it says {said[-1:]}", 60.0)
        servers.kill(number)
        servers.wipe(number)  # the key of its folder's ring counts, not that of the file
        servers.keys[number]["server"]["encrypt"] = key(b"a")
        servers.configure()
        servers.start(number)
        until(lambda: servers.ask(number, "/v1/agent/health").status == 200, "health", 60.0)
        assert servers.run(number, "operator", "raft", "views").code == 0
