"""python-nomad, a client that none of us wrote, against three real servers."""

from __future__ import annotations

from pathlib import Path

import nomad
import pytest
from nomad.api.exceptions import BaseNomadException
from server_processes import running, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


def test_its_classes_for_operators_work_on_leader_and_follower(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        for number in (leader, (leader + 1) % 3):
            client = nomad.Nomad(host="127.0.0.1", port=servers.http[number], timeout=10)
            rows = client.operator.get_configuration(stale=False)["Servers"]
            assert sorted(row["Node"] for row in rows) == ["s0.global", "s1.global", "s2.global"]
            assert client.operator.get_configuration(stale=True)["Index"] > 0
            assert client.status.leader.get_leader() == f"127.0.0.1:{servers.rpc[leader]}"
            assert len(client.status.peers.get_peers()) == 3
            assert client.regions.get_regions() == ["global"]
            assert len(client.agent.get_members()["Members"]) == 3
            assert client.agent.get_agent()["member"]["Name"] == f"s{number}.global"
            assert "Gauges" in client.metrics.get_metrics()
            with pytest.raises(BaseNomadException):
                client.operator.delete_peer("127.0.0.9:4647")


def test_it_removes_a_dead_peer(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        dead = (leader + 1) % 3
        servers.kill(dead)
        client = nomad.Nomad(host="127.0.0.1", port=servers.http[leader], timeout=10)
        client.operator.delete_peer(f"127.0.0.1:{servers.rpc[dead]}", stale=False)
        until(lambda: len(client.status.peers.get_peers()) == 2, "the peer to be gone")
