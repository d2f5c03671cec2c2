"""Who comes back from behind a cut, or was removed behind it, unseats nobody."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fault_cluster import running, serves_everywhere
from lengths import cases
from register_writers import PATH, body
from server_processes import until

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("cut_s", "watched_s"), cases([(6.0, 3.0)], [(60.0, 20.0)]))
def test_a_follower_back_from_a_cut_and_a_removed_one_leave_the_term_alone(
    tmp_path: Path, cut_s: float, watched_s: float
) -> None:
    with running(tmp_path, namespaces=True) as servers:
        network = servers.network
        assert network
        leader = servers.leader()
        term = servers.term(leader)
        cut_off = (leader + 1) % 3
        rest = {0, 1, 2} - {cut_off}

        def cut() -> None:
            network.cut(rest, {cut_off})
            network.cut({cut_off}, rest)

        cut()
        deadline = time.monotonic() + cut_s
        value = 0
        while time.monotonic() < deadline:
            value += 1
            assert servers.ask(leader, PATH, "PUT", body(value)).status == 200
            time.sleep(0.05)
        assert servers.stats(cut_off)["state"] != "Leader"
        network.heal()
        serves_everywhere(servers, 20)
        assert {servers.term(n) for n in range(3)} == {term}
        assert servers.leader() == leader

        cut()
        path = f"/v1/operator/raft/peer?address={servers.rpc_address(cut_off)}"
        until(lambda: servers.ask(leader, path, "DELETE").status == 200, "the removal")
        until(lambda: servers.stats(cut_off)["state"] != "Follower", "the removed one to campaign")
        network.heal()
        deadline = time.monotonic() + watched_s
        while time.monotonic() < deadline:
            assert servers.ask(leader, PATH, "PUT", body(value)).status == 200
            time.sleep(0.05)
        assert {servers.term(n) for n in rest} == {term}
        assert servers.stats(leader)["state"] == "Leader"
        assert servers.rpc_address(cut_off) not in servers.ask(leader, "/v1/status/peers").json
