"""A leader whose disk hangs is replaced; one whose disk is slow for a moment is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fault_clients import Clients
from fault_cluster import running, serves_everywhere
from lengths import cases
from server_processes import until

from quorate.raft.settings import Settings
from quorate.testing.linearizability import check

pytestmark = pytest.mark.process

SHORT_STALL_S = Settings().disk_stall_s * 0.4
ELECTION_MAX_S = 2 * Settings().election_timeout_s  # a follower waits one to two base timeouts


@pytest.mark.parametrize("stall_s", cases([3.0], [10.0]))
def test_syncs_of_the_leader_hang(tmp_path: Path, stall_s: float) -> None:
    with running(tmp_path) as servers, Clients(servers, 3, seed=16) as clients:
        clients.more(5)
        leader = servers.leader()
        term = servers.term(leader)
        for _ in range(3):  # below the limit: nobody is unseated
            servers.shims[leader].block_syncs(True)
            time.sleep(SHORT_STALL_S)
            servers.shims[leader].block_syncs(False)
            clients.more(3)
        assert servers.term(leader) == term

        began, watch = time.monotonic(), servers.stopwatch()
        servers.shims[leader].block_syncs(True)
        until(lambda: any(servers.term(n) > term for n in range(3) if n != leader), "an election")
        new = until(
            lambda: [n for n in range(3) if servers.stats(n)["state"] == "Leader" and n != leader],
            "another leader",
        )
        took = watch.seconds()
        clients.more(5)
        assert servers.stats(leader)["state"] == "Follower"
        time.sleep(max(0.0, stall_s - (time.monotonic() - began)))
        servers.shims[leader].block_syncs(False)
        serves_everywhere(servers, 20)
    print(f"another leader (s{new[0]}) {took:.2f} s after the syncs hung")
    # The stall is noticed after disk_stall_s, then an election takes its time.
    assert took < Settings().disk_stall_s + 2 * ELECTION_MAX_S
    result = check(clients.recorder.history())
    assert result.ok, str(result)
