"""How soon servers see each other come and go, at the timing that they have without being told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gossiping_servers import cluster, measured
from server_processes import until

pytestmark = pytest.mark.process

JOIN_S = 1.0
FAILED_S = 5.0


def test_a_killed_server_is_seen_by_all_of_five_and_a_new_one_joins(tmp_path: Path) -> None:
    with cluster(tmp_path, 5) as servers:
        until(
            lambda: all(list(servers.members(n).values()) == ["alive"] * 5 for n in range(5)),
            "all to be alive for all",
        )
        killed = next(n for n in range(5) if n != servers.leader())
        name = servers.node(killed)
        servers.kill(killed)
        measured(
            servers,
            "a killed server is seen as failed by all others",
            lambda: all(servers.members(n)[name] == "failed" for n in servers.processes),
            FAILED_S,
        )

        # From the order to join one of them to when all know it.
        new = servers.add("new", server={"retry_join": [], "bootstrap_expect": 0})
        servers.start(new)
        until(lambda: servers.ask(new, "/v1/agent/members").status == 200, "the new one to be up")
        assert set(servers.members(new)) == {servers.node(new)}
        join = f"/v1/agent/join?address={servers.serf_address((killed + 1) % 5)}"
        assert servers.ask(new, join, "PUT").json["num_joined"] == 1
        measured(
            servers,
            "a new server is seen by all others",
            lambda: all(
                servers.members(n).get(servers.node(new)) == "alive" for n in servers.processes
            ),
            JOIN_S,
        )

        # Back again under its old name.
        servers.start(killed)
        began = time.monotonic()
        until(
            lambda: all(servers.members(n)[name] == "alive" for n in servers.processes),
            "the killed server to be alive again for all",
        )
        print(f"the killed server is alive again for all: {time.monotonic() - began:.2f} s")
