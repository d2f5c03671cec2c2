"""Pain 10: dead servers that stay for weeks in the Raft configuration, or come back.

A removal is an entry of the log: neither a member that was cut off, nor old gossip after a restart
of everything, brings the dead name back. No row is ever "(unknown)" without ID and last name.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process

ROUNDS_S = 10 * 0.5  # ten probe rounds of the timing that these servers have


def stays_gone(servers: GossipingServers, dead: int, dead_id: str, for_s: float) -> None:
    """For so long no server takes the dead one for alive, or for a member of Raft."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        for number in servers.processes:
            assert servers.members(number).get(servers.node(dead)) in {None, "failed", "left"}
            assert dead_id not in servers.rows(number)
        time.sleep(0.25)  # between two looks, not in place of one


def test_a_removal_sticks(tmp_path: Path) -> None:
    with cluster(tmp_path, 5) as servers:
        leader = servers.leader()
        dead, cut_off, other, fifth = (n for n in range(5) if n != leader)
        dead_id, dead_name = servers.server_id(dead), servers.node(dead)

        # Cut off while the other one dies: it still holds that one for alive when it comes back.
        servers.signal(cut_off, signal.SIGSTOP)
        servers.kill(dead)
        until(lambda: servers.members(leader)[dead_name] == "failed", "the dead one to be seen")
        row = servers.rows(leader)[dead_id]
        assert (row["Node"], row["Status"], row["LastContact"][:2]) == (dead_name, "failed", "20")
        removed = servers.run(leader, "operator", "raft", "remove-peer", f"-peer-id={dead_id}")
        assert removed.code == 0, removed
        servers.signal(cut_off, signal.SIGCONT)
        statuses: dict[int, str | None] = {}

        def heard() -> bool:
            statuses.update({n: servers.members(n).get(dead_name) for n in servers.processes})
            gone = {"failed", "left"}
            return gone.issuperset(statuses.values()) and dead_id not in servers.rows(cut_off)

        until(heard, lambda: f"the member that was cut off to hear of it: {statuses}")
        stays_gone(servers, dead, dead_id, ROUNDS_S)

        # Forgotten by all, at once, and not remembered by a restart of everything.
        pruned = servers.run(other, "server", "force-leave", "-prune", dead_name)
        assert pruned.code == 0, pruned
        until(
            lambda: all(dead_name not in servers.members(n) for n in servers.processes),
            "it to be forgotten",
        )
        stays_gone(servers, dead, dead_id, 2.0)
        servers.kill(leader, cut_off, other, fifth)
        servers.start(leader, cut_off, other, fifth)
        servers.all_vote(leader, cut_off, other, fifth)
        assert all(dead_name not in servers.members(n) for n in servers.processes)

        # Its own return does not bring it back either.
        servers.start(dead)
        until(lambda: servers.health(dead).startswith("removed from the cluster"), "it to know")
        assert dead_id not in servers.rows(leader)


def test_a_row_keeps_its_name_when_gossip_has_forgotten_it(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        dead = next(n for n in range(3) if n != servers.leader())
        dead_id, name = servers.server_id(dead), servers.node(dead)
        rest = [n for n in range(3) if n != dead]
        servers.at_rest()
        servers.kill(*range(3))
        for number in rest:
            servers.keys[number] = {
                "server": {"retry_join": [servers.serf_address(n) for n in rest]}
            }
        servers.configure()
        servers.start(*rest)
        servers.leader()
        row = {}

        def named() -> bool:
            nonlocal row
            row = servers.rows(rest[0])[dead_id]
            return row["Node"] == "(unknown)" and row.get("LastName") == name

        until(named, lambda: f"the last name of a server that nobody has seen: {row}")
        assert row["Status"] == "unknown"
        assert row["Address"] == servers.rpc_address(dead)
        table = servers.run(rest[0], "operator", "raft", "list-peers", "-verbose")
        assert table.code == 0
        line = next(line for line in table.out.splitlines() if dead_id in line)
        assert "(unknown)" in line
        assert name in line, table.out
