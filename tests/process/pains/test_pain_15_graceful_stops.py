"""Pain 15: a graceful stop of all servers leaves a cluster that will not start.

With `leave_on_terminate` a SIGTERM makes a server leave. Whatever the order in which all of them
are told to, they start again with the same data: who would end the quorum by leaving does not
leave, and the last one keeps its configuration.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from gossiping_servers import LEADER_S, GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process

FEW = [("leader", "follower", "other")]
ORDERS = [*itertools.permutations(("leader", "follower", "other"))]


def all_back(servers: GossipingServers, algorithm: str) -> None:
    watch = servers.stopwatch()
    servers.start()
    servers.leader()
    took = watch.seconds()
    print(f"a leader {took:.2f} s after the start")
    assert took <= LEADER_S
    servers.all_vote()
    assert [servers.written(n) for n in range(3)] == [algorithm] * 3


def stop_one_after_another(servers: GossipingServers, order: Sequence[str]) -> None:
    leader = servers.leader()
    roles = {"leader": leader, "follower": (leader + 1) % 3, "other": (leader + 2) % 3}
    codes = [servers.terminate(roles[role])[roles[role]] for role in order]
    # The last one does not leave, and says so by its exit code.
    assert codes == [0, 0, 1]
    assert "this server does not leave: it is the last voter" in servers.log(roles[order[-1]])


@pytest.mark.parametrize(
    "order",
    [
        *(pytest.param(order, id="-".join(order)) for order in FEW),
        *(
            pytest.param(order, id="-".join(order), marks=pytest.mark.long)
            for order in ORDERS
            if order not in FEW
        ),
    ],
)
def test_all_told_to_leave_in_turn(order: tuple[str, ...], tmp_path: Path) -> None:
    with cluster(tmp_path, leave_on_terminate=True) as servers:
        servers.write()
        stop_one_after_another(servers, order)
        all_back(servers, "spread")


def test_all_told_to_leave_at_once(tmp_path: Path) -> None:
    with cluster(tmp_path, leave_on_terminate=True) as servers:
        servers.write()
        codes = servers.terminate(0, 1, 2)
        assert set(codes.values()) <= {0, 1}
        assert 1 in codes.values()
        all_back(servers, "spread")


def test_one_leaves_and_one_may_not(tmp_path: Path) -> None:
    with cluster(tmp_path, leave_on_terminate=True) as servers:
        servers.write()
        leaver = servers.leader()
        first, second = ((leaver + n) % 3 for n in (1, 2))
        leaver_id = servers.server_id(leaver)

        # The leader leaves: leadership is handed over first, and the configuration shrinks.
        assert servers.terminate(leaver) == {leaver: 0}
        assert "the leader handed over" in servers.log(first) + servers.log(second)
        name = servers.node(leaver)
        until(
            lambda: {servers.members(n)[name] for n in (first, second)} == {"left"},
            "the others to see that it left",
        )
        for number in (first, second):
            assert leaver_id not in servers.rows(number)
            assert len(servers.rows(number)) == 2

        # Of two voters one is down: the other one may not leave, and stays a member.
        servers.kill(second)
        # (Asked at once: its peer may still look alive.)
        assert servers.terminate(first) == {first: 1}
        (said,) = (
            line for line in servers.log(first).splitlines() if "this server does not leave" in line
        )
        print(said)
        assert "no leader" in said or "0 live of 1 voters, and 1 are needed" in said
        assert f"-peer-id={servers.server_id(first)}" in said

        # All are back, the leaver by itself.
        all_back(servers, "spread")
        assert servers.server_id(leaver) == leaver_id
