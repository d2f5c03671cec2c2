"""python-nomad, a client that none of us wrote, against a running cluster of three."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from server_processes import Servers, running, until

nomad = pytest.importorskip("nomad", reason="needs python-nomad, which `make setup` installs")
exceptions = nomad.api.exceptions

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("three")) as servers:
        until(lambda: servers.voters() == 3, "three voters")
        yield servers


def client(servers: Servers, *, leads: bool) -> Any:
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
    with pytest.raises(exceptions.BaseNomadException):
        client(three, leads=True).operator.delete_peer("127.0.0.1:1")


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_variables(three: Servers, leads: bool) -> None:
    one = client(three, leads=leads)
    until(lambda: three.ask(0, "/v1/var/first", "PUT", {"Items": {"k": "v"}}).status == 200, "one")
    path = f"app/{'leader' if leads else 'follower'}"
    made = one.variable.create_variable(path, {"Items": {"user": "a"}}, cas=0)
    assert (made["Path"], made["Items"]) == (path, {"user": "a"})
    assert one.variable.get_variable(path) == made
    assert path in one.variable
    assert one.variable[path]["Items"] == {"user": "a"}
    assert "app/none" not in one.variable
    with pytest.raises(exceptions.URLNotFoundNomadException):
        one.variable.get_variable("app/none")
    with pytest.raises(KeyError):
        one.variable["app/none"]

    index = made["ModifyIndex"]
    with pytest.raises(exceptions.VariableConflict):
        one.variable.create_variable(path, {"Items": {"user": "b"}}, cas=index + 1)
    changed = one.variable.create_variable(path, {"Items": {"user": "b"}}, cas=index)
    assert changed["ModifyIndex"] > index
    assert changed["CreateIndex"] == made["CreateIndex"]
    with pytest.raises(exceptions.BaseNomadException):
        one.variable.create_variable("app/b b", {"Items": {"user": "b"}})

    other = one.variable.create_variable(path, {"Items": {"user": "c"}}, namespace="web")
    assert other["Namespace"] == "web"
    assert one.variable.get_variable(path, namespace="web")["Items"] == {"user": "c"}
    (row,) = one.variables.get_variables(prefix=path)
    assert row == {name: value for name, value in changed.items() if name != "Items"}
    assert len(one.variables.get_variables(prefix=path, namespace="*")) == 2
    assert path in one.variables
    assert one.variables[path]["ModifyIndex"] == changed["ModifyIndex"]
    assert {row["Path"] for row in one.variables} >= {"first", path}

    with pytest.raises(exceptions.VariableConflict):
        one.variable.delete_variable(path, cas=index)
    one.variable.delete_variable(path, cas=changed["ModifyIndex"])
    assert path not in one.variable
    one.variable.delete_variable(path, namespace="web")
    assert one.variables.get_variables(prefix=path, namespace="*") == []


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_namespaces(three: Servers, leads: bool) -> None:
    one = client(three, leads=leads)
    name = "of-leader" if leads else "of-follower"
    until(lambda: three.ask(0, "/v1/namespace", "PUT", {"Name": "first"}).status == 200, "one")
    one.namespace.create_namespace({"Name": name, "Description": "d", "Meta": {"a": "b"}})
    found = one.namespace.get_namespace(name)
    assert (found["Description"], found["Meta"]) == ("d", {"a": "b"})
    one.namespace.update_namespace(name, {"Name": name, "Description": "e"})
    assert one.namespace.get_namespace(name)["Description"] == "e"
    assert name in one.namespace
    assert "none" not in one.namespace
    with pytest.raises(exceptions.URLNotFoundNomadException):
        one.namespace.get_namespace("none")
    assert [row["Name"] for row in one.namespaces.get_namespaces(prefix=name)] == [name]
    assert {row["Name"] for row in one.namespaces} >= {"default", name}
    assert name in one.namespaces
    assert len(one.namespaces) >= 3

    one.variable.create_variable("a", {"Items": {"k": "v"}}, namespace=name)
    with pytest.raises(exceptions.BaseNomadException):
        one.namespace.delete_namespace(name)  # it holds a variable
    one.variable.delete_variable("a", namespace=name)
    one.namespace.delete_namespace(name)
    assert name not in one.namespace


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
