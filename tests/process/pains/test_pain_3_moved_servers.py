"""Pain 3: servers whose addresses change, one, two in exchange, or all at once.

Only configurations change (`bind_addr`, ports, `retry_join`), no data file is edited. A leader is
there within 10 s of the start, the Raft configuration shows the new addresses, nothing is lost.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from gossiping_servers import LEADER_S, GossipingServers, cluster, configurations
from stopwatch import Stopwatch

pytestmark = pytest.mark.process


def leads_in_time(servers: GossipingServers, watch: Stopwatch, what: str) -> None:
    servers.leader()
    took = watch.seconds()
    print(f"{what}: a leader after {took:.2f} s")
    assert took <= LEADER_S


def test_all_three_move_at_once_then_one_then_two_trade_places(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        ids = {number: servers.server_id(number) for number in range(3)}
        servers.write()
        servers.kill(0, 1, 2)

        servers.move(0, 1, 2)
        watch = servers.stopwatch()
        servers.start()
        leads_in_time(servers, watch, "three of three moved")
        servers.all_vote()
        assert [servers.written(n) for n in range(3)] == ["spread"] * 3

        # One moves while the others run.
        servers.write("binpack")
        number = next(n for n in range(3) if n != servers.leader())
        servers.kill(number)
        servers.move(number)
        servers.start(number)
        servers.all_vote()

        # Two trade places while the third is down too, so nobody remembers for them.
        servers.write("spread")
        servers.kill(0, 1, 2)
        first, second, third = servers.places
        servers.put([second, first, third])
        watch = servers.stopwatch()
        servers.start()
        leads_in_time(servers, watch, "two traded places")
        servers.all_vote()

        # And a follower with the leader while the cluster goes on.
        servers.kill(0, 1)
        first, second, third = servers.places
        servers.put([second, first, third])
        servers.start(0, 1)
        servers.all_vote()
        assert [servers.written(n) for n in range(3)] == ["spread"] * 3
        assert {number: servers.server_id(number) for number in range(3)} == ids

    # All this time nobody has lost a vote: only addresses were written.
    for configuration in configurations(servers.data_dir(0), tmp_path):
        assert {voter.id for voter in configuration.voters()} == set(ids.values())


def test_the_only_server_moves(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as servers:
        servers.write()
        servers.kill(0)
        servers.move(0)
        watch = servers.stopwatch()
        servers.start()
        leads_in_time(servers, watch, "the only server moved")
        servers.all_vote()
        assert servers.written(0) == "spread"
