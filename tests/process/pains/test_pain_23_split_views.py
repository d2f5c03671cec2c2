"""Pain 23: servers, user interface, command line and gossip disagree on who leads.

`operator raft views` asks every server, through as many of them as it is given, and puts the
answers side by side: in a split of five into two and three both sides are seen, the old leader is
marked stale, and the exit code is 2. Needs network namespaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fault_network import Network
from gossiping_servers import GossipingServers, Place, gossiping
from server_processes import until

pytestmark = pytest.mark.process

DISAGREE = 2


class SplitServers(GossipingServers):
    """Each in a network namespace of its own."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.network = network
        super().__init__(folder, network.count)

    def find_place(self, number: int) -> Place:
        return Place(self.network.address(number), 4646, 4647, 4648)

    def command(self, number: int) -> list[str]:
        return [*self.network.entering(number), *super().command(number)]

    def url(self, number: int) -> str:
        return f"http://{self.host(number)}:{self.http[number]}"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[SplitServers]:
    network = Network(5)
    try:
        split = SplitServers(tmp_path, network)
        with network.inside(), gossiping(split):
            yield split
    finally:
        network.close()


def views(servers: SplitServers, asked: Sequence[int]) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and by name what is said of each server."""
    first, *more = asked
    urls = [servers.url(number) for number in more]
    done = servers.run(first, "operator", "raft", "views", "-json", *urls)
    return done.code, {view["Node"]: view for view in json.loads(done.out)["Servers"]}


def test_a_split_of_five(servers: SplitServers) -> None:
    servers.leader(30.0)
    servers.all_vote()
    assert views(servers, [0])[0] == 0
    old = servers.leader()
    few = {old, (old + 1) % 5}
    many = set(range(5)) - few
    servers.network.cut(few, many)
    servers.network.cut(many, few)

    def elected() -> int:
        return next(n + 1 for n in many if servers.stats(n)["state"] == "Leader")

    leader = until_number(elected)
    asked = [*few, *many]
    code, seen = views(servers, asked)
    assert code == DISAGREE
    assert len(seen) == 5
    assert not any(view["Error"] for view in seen.values())
    new_term = seen[servers.node(leader)]["Term"]
    for number in range(5):
        view = seen[servers.node(number)]
        if number in few:
            # It does not even claim to lead any more: without a majority it has stepped down.
            assert view["Note"] == f"stale: the newest term is {new_term}", view
            assert view["Role"] != "leader"
        else:
            assert view["Note"] == ""
            assert view["Leader"] == servers.rpc_address(leader)
    assert servers.run(asked[0], "operator", "raft", "views", servers.url(leader)).code == DISAGREE

    # From one side alone the other side is silent, and that is what is said of it.
    _, seen = views(servers, [leader])
    assert all(seen[servers.node(number)]["Error"] for number in few)
    assert not any(seen[servers.node(number)]["Error"] for number in many)

    servers.network.heal()
    until(lambda: views(servers, [old, leader])[0] == 0, "all to agree again", 30.0)


def until_number(find: Any) -> int:
    """`find` gives a server's number plus one, or raises StopIteration."""

    def found() -> int:
        try:
            return int(find())
        except StopIteration:
            return 0

    return until(found, "a leader of the larger part") - 1


def test_a_dead_region_fails_no_list(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path, 1)
    west = servers.add("w0", region="west", server={"bootstrap_expect": 1})
    with gossiping(servers):
        until(
            lambda: all(
                servers.stats(n)["state"] == "Leader" and len(servers.members(n)) == 2
                for n in (0, west)
            ),
            "two regions in one pool, each with its leader",
        )
        assert servers.ask(0, "/v1/regions").json == ["global", "west"]
        servers.kill(west)
        until(lambda: servers.members(0)["w0.west"] == "failed", "the other region to be missed")
        listed = servers.run(0, "server", "members")
        rows = {line.split()[0]: line.split() for line in listed.out.splitlines() if "." in line}
        assert rows["s0.global"][3:5] == ["alive", "true"]
        assert rows["w0.west"][3:5] == ["failed", "false"]
        assert 'Region "west"' in listed.err
        assert "global" not in listed.err
        code = servers.run(0, "operator", "raft", "views")
        assert (code.code, "s0.global" in code.out) == (0, True), code
        assert servers.ask(0, "/v1/regions").json == ["global"]
