"""Pain 13: two clusters where there should be one.

A server with data, or one that meets such a server, founds nothing; what differs between servers
that should be one cluster is said in words by each of them; two clusters whose pools have been
joined stay two.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster, gossiping, log_dump
from server_processes import until

pytestmark = pytest.mark.process

KEY, OTHER_KEY = "cg8StVXbQJ0gPvMd9o7yrg==", "pUqJrVyVRj5jsiYEkM/tFQ=="


def waits_for(servers: GossipingServers, number: int, *texts: str) -> None:
    """In agent/self, and in the log."""
    said = ""

    def told() -> bool:
        nonlocal said
        said = servers.own_stats(number)["quorate"]["waiting"]
        return all(text in said for text in texts)

    until(told, lambda: f"{servers.names[number]} to say {texts}; it says: {said}")
    servers.log_says(number, "waiting: " + said[:40])


def test_two_new_servers_meet_an_old_one(tmp_path: Path) -> None:
    """hashicorp/raft#122: the disks of two of three are lost, and all three start again."""
    with cluster(tmp_path) as servers:
        servers.write()
        old, *new = (servers.leader() + 1) % 3, servers.leader(), (servers.leader() + 2) % 3
        ids = {n: servers.server_id(n) for n in range(3)}
        old_cluster = servers.own_stats(old)["nomad"]["cluster_id"]
        servers.kill(0, 1, 2)
        before = log_dump(servers.data_dir(old), tmp_path)
        for number in new:
            servers.wipe(number)

        servers.start()
        a, b = (servers.node(n) for n in new)
        waits_for(
            servers,
            old,
            "no leader: 1 of 3 voters are here",
            f"({ids[new[0]]} at {servers.rpc_address(new[0])})",
            f"({ids[new[1]]} at {servers.rpc_address(new[1])})",
            f"without data, and so no help: {', '.join(sorted((a, b)))}",
        )
        for number in new:
            waits_for(servers, number, "there is a cluster already", servers.node(old), old_cluster)
            assert servers.stats(number)["last_log_index"] == "0"
        with ThreadPoolExecutor(3) as asking:  # each is held for five seconds
            for said in asking.map(servers.health, range(3)):
                assert said.startswith("No cluster leader; ")
        for number in range(3):
            assert "leader in term" not in servers.new_log(number)
            assert servers.stats(number)["state"] != "Leader"

        servers.kill(0, 1, 2)
        assert log_dump(servers.data_dir(old), tmp_path) == before


def test_what_differs_is_said_by_both_sides(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path)
    servers.keys[2]["server"] = {"bootstrap_expect": 5}
    servers.configure()
    with gossiping(servers):
        for number in (0, 1):
            waits_for(servers, number, "bootstrap_expect differs: 3 here, 5 on s2.global")
        waits_for(servers, 2, "bootstrap_expect differs: 5 here, 3 on s")

        servers.kill(2)
        servers.wipe(2)
        servers.keys[2] = {"region": "west"}
        servers.configure()
        servers.start(2)
        for number in (0, 1):
            waits_for(
                servers,
                number,
                "2 of 3 expected",
                "s2.west of region 'west'",
                "name the same region",
            )
        waits_for(servers, 2, "1 of 3 expected", "s0.global of region 'global'")

        # All with a key, and one of them with another one.
        servers.kill(0, 1, 2)
        for number, key in enumerate((KEY, KEY, OTHER_KEY)):
            servers.wipe(number)
            servers.keys[number] = {"server": {"encrypt": key}}
        servers.configure()
        servers.start()
        waits_for(servers, 2, "1 of 3 expected", "no server could be joined", "key")
        for number in (0, 1):
            waits_for(servers, number, "2 of 3 expected servers answer (s0.global, s1.global)")
        until(
            lambda: any("refused gossip from" in servers.log(n) for n in (0, 1)),
            "the others to say that they refuse it",
        )
        assert all(servers.stats(n)["last_log_index"] == "0" for n in range(3))


def test_two_clusters_in_one_pool_stay_two(tmp_path: Path) -> None:
    left = GossipingServers(tmp_path / "left", 1, names=["left"])
    right = GossipingServers(tmp_path / "right", 1, names=["right"])
    with gossiping(left), gossiping(right):
        for one in (left, right):
            one.leader()
            one.all_vote()
        joined = left.run(0, "server", "join", right.serf_address(0))
        assert (joined.code, joined.err) == (0, ""), joined
        until(lambda: len(left.members(0)) == len(right.members(0)) == 2, "both in one pool")
        for one, other in ((left, right), (right, left)):
            theirs = other.own_stats(0)["nomad"]["cluster_id"]
            one.log_says(
                0, f"{other.node(0)} is in this pool but belongs to another cluster, {theirs}"
            )
        # A newcomer that could belong to either is taken in by neither, and hears why.
        new = left.add("new", server={"retry_join": [left.serf_address(0)]})
        left.start(new)
        waits_for(left, new, "servers of 2 clusters in this pool")
        for one, other in ((left, right), (right, left)):
            one.all_vote(0)
            assert one.log(0).count("is in this pool but belongs to another cluster") == 1
            views = one.ask(0, "/v1/operator/raft/views").json["Servers"]
            assert other.node(0) not in {view["Node"] for view in views}
        # They come back to themselves after a restart, too.
        left.kill(0)
        left.start(0)
        until(lambda: left.stats(0)["state"] == "Leader", "it to lead its own cluster again")
        left.all_vote(0)
