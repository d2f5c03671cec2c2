"""Pain 14: a removed server that cannot come back until someone wipes its disk.

It learns of its removal from committed state, says so in its health, disturbs nobody, and
`quorate server rejoin` brings it back with the folder that it has.

A server disturbs the others by a campaign, which raises the term. So its campaigns are counted, in
its own log: on a busy machine the others may hold elections of their own.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from gossiping_servers import SCHEDULER, GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process


LOOKS = 60
"""So often it answers while it is watched: with the pauses between, six election timeouts."""


def campaigns(servers: GossipingServers, number: int) -> int:
    """How often this server has asked for votes in a new term, through all of its starts."""
    return len(re.findall(r"(?<!-)\bcandidate in term \d", servers.log(number)))


def watch(servers: GossipingServers, number: int) -> None:
    """Let that server do what it would do: it answers so often, and its timers run in between."""
    looks = iter(range(LOOKS))

    def looked() -> bool:
        servers.stats(number)
        return next(looks, LOOKS) >= LOOKS

    until(looked, "it to have answered often")


def remove(servers: GossipingServers, asked: int, removed: int) -> None:
    done = servers.run(
        asked, "operator", "raft", "remove-peer", f"-peer-id={servers.server_id(removed)}"
    )
    assert done.code == 0, done


def knows(servers: GossipingServers, number: int) -> None:
    """Its health says since when it is out, and what to do."""
    said = ""

    def told() -> bool:
        nonlocal said
        said = servers.health(number)
        return said.startswith("removed from the cluster at index ") and said.endswith(
            "; run: quorate server rejoin"
        )

    until(told, lambda: f"it to know that it was removed; it says: {said}")


def rejoin(servers: GossipingServers, number: int) -> None:
    done = servers.run(number, "server", "rejoin")
    assert done.code == 0, done
    servers.all_vote()
    until(lambda: servers.health(number) == "ok", "it to be healthy again")


def test_removed_alive_removed_while_down_and_back_each_time(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write()
        leader = servers.leader()
        removed = (leader + 1) % 3
        server_id, name = servers.server_id(removed), servers.node(removed)
        assert campaigns(servers, leader), "the log tells of campaigns"
        before = campaigns(servers, removed)

        remove(servers, leader, removed)
        knows(servers, removed)
        watch(servers, removed)
        assert server_id not in servers.rows(leader)
        servers.write("binpack", leader)
        assert campaigns(servers, removed) == before
        rejoin(servers, removed)
        assert servers.written(removed) == "binpack"

        # Nor does it come back by its own gossip when the others forget all that is not on disk.
        others = [n for n in range(3) if n != removed]
        remove(servers, leader, removed)
        knows(servers, removed)
        servers.kill(*others)
        servers.start(*others)
        servers.all_vote(*others)
        until(lambda: servers.members(others[0])[name] == "alive", "its gossip to be heard again")
        knows(servers, removed)
        assert server_id not in servers.rows(others[0])
        assert campaigns(servers, removed) == before
        rejoin(servers, removed)

        # Removed while it was down: a restart tells it, and does not bring it back.
        leader = servers.leader()
        if leader == removed:
            servers.move_leadership_to(others[0])
            leader = others[0]
        servers.kill(removed)
        before = campaigns(servers, removed)
        until(lambda: servers.members(leader)[name] == "failed", "it to be missed")
        remove(servers, leader, removed)
        servers.write("spread", leader)
        servers.start(removed)
        knows(servers, removed)
        assert server_id not in servers.rows(leader)
        assert campaigns(servers, removed) == before
        rejoin(servers, removed)
        assert servers.written(removed) == "spread"
        assert servers.server_id(removed) == server_id


def test_removed_while_it_hears_nothing(tmp_path: Path) -> None:
    """Replication that has come to a stop for longer than anybody waits to tell it goodbye."""
    with cluster(tmp_path) as servers:
        servers.write()
        leader = servers.leader()
        removed = (leader + 1) % 3
        servers.signal(removed, signal.SIGSTOP)
        for number in range(200):  # it is far behind when it goes on
            algorithm = ("binpack", "spread")[number % 2]
            servers.ask(leader, SCHEDULER, "PUT", {"SchedulerAlgorithm": algorithm})
        remove(servers, leader, removed)
        before = campaigns(servers, removed)
        until(lambda: servers.members(leader)[servers.node(removed)] == "failed", "it to be missed")
        servers.signal(removed, signal.SIGCONT)
        knows(servers, removed)
        assert campaigns(servers, removed) == before
        rejoin(servers, removed)
        until(lambda: servers.written(removed) == "spread", "it to have caught up")
