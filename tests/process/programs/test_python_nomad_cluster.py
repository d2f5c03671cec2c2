"""python-nomad, a client that none of us wrote, against a running cluster of three."""

from __future__ import annotations

from collections.abc import Iterator

import nomad
import pytest
from nomad.api.exceptions import BaseNomadException
from server_processes import Servers, running, until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("three")) as servers:
        until(lambda: servers.voters() == 3, "three voters")
        yield servers


def client(servers: Servers, *, leads: bool) -> nomad.Nomad:
    leader = servers.leader()
    number = leader if leads else (leader + 1) % servers.count
    return nomad.Nomad(host="127.0.0.1", port=servers.http[number], timeout=10)


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_status_regions_and_agent(three: Servers, leads: bool) -> None:
    one = client(three, leads=leads)
    addresses = {f"127.0.0.1:{port}" for port in three.rpc}
    assert one.status.leader.get_leader() == f"127.0.0.1:{three.rpc[three.leader()]}"
    assert set(one.status.peers.get_peers()) == addresses
    assert one.regions.get_regions() == ["global"]
    assert one.agent.get_agent()["stats"]["raft"]["num_peers"] == "2"
    names = {member["Name"] for member in one.agent.get_members()["Members"]}
    assert names == {"s0.global", "s1.global", "s2.global"}


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
@pytest.mark.parametrize("stale", [True, False], ids=["stale", "consistent"])
def test_the_raft_configuration(three: Servers, leads: bool, stale: bool) -> None:
    found = client(three, leads=leads).operator.get_configuration(stale=stale)
    leaders = [row["Address"] for row in found["Servers"] if row["Leader"]]
    assert leaders == [f"127.0.0.1:{three.rpc[three.leader()]}"]
    assert [row["Voter"] for row in found["Servers"]] == [True] * 3


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_metrics(three: Servers, leads: bool) -> None:
    one = client(three, leads=leads)
    gauges = until(lambda: one.metrics.get_metrics()["Gauges"], "the first gauges")
    assert all(gauge["Name"] for gauge in gauges)


def test_a_peer_that_is_not_there_is_an_error(three: Servers) -> None:
    with pytest.raises(BaseNomadException):
        client(three, leads=True).operator.delete_peer("127.0.0.1:1")


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_a_dead_peer_is_removed_and_comes_back(three: Servers, leads: bool) -> None:
    leader = three.leader()
    dead = (leader + 2) % three.count
    address = f"127.0.0.1:{three.rpc[dead]}"
    one = client(three, leads=leads)
    three.kill(dead)
    try:
        assert one.operator.delete_peer(address) is True
        assert address not in one.status.peers.get_peers()
    finally:
        three.start(dead)
    until(lambda: three.ask(dead, "/v1/agent/rejoin", "PUT").status == 200, "the way back")
    until(lambda: three.voters() == 3, "the removed server to vote again")
    assert address in one.status.peers.get_peers()
