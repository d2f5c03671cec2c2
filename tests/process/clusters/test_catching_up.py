"""A wiped server comes back by snapshot, a removed one by being started; nobody is unseated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from server_processes import running, until

pytestmark = pytest.mark.process

SCHEDULER = "/v1/operator/scheduler/configuration"


def test_a_wiped_follower_catches_up_by_snapshot_without_an_election(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "raft_snapshot_threshold": 50,
        "raft_snapshot_interval": "100ms",
        "raft_trailing_logs": 10,
    }
    with running(tmp_path, **keys) as servers:
        leader = servers.leader()
        follower = (leader + 1) % 3
        servers.kill(follower)
        for number in range(200):
            body = {"SchedulerAlgorithm": "spread", "NodeLimitForFeasibilityChecks": number}
            assert servers.ask(leader, SCHEDULER, "PUT", body).status == 200
        until(lambda: int(servers.stats(leader)["last_snapshot_index"]) > 50, "a snapshot")
        term = servers.stats(leader)["term"]
        servers.wipe(follower)
        servers.start(follower)
        for number in range(200, 260):
            body = {"SchedulerAlgorithm": "spread", "NodeLimitForFeasibilityChecks": number}
            assert servers.ask(leader, SCHEDULER, "PUT", body).status == 200

        def caught_up() -> bool:
            answer = servers.ask(follower, f"{SCHEDULER}?stale").json
            return bool(answer["SchedulerConfig"]["NodeLimitForFeasibilityChecks"] == 259)

        until(caught_up, "the wiped server to hold the newest write")
        assert int(servers.stats(follower)["last_snapshot_index"]) > 0
        until(lambda: servers.voters() == 3, "the wiped server to vote again")
        assert servers.stats(leader)["term"] == term
        assert servers.leader() == leader


def test_servers_start_again_from_a_snapshot(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "raft_snapshot_threshold": 20,
        "raft_snapshot_interval": "100ms",
        "raft_trailing_logs": 5,
    }
    with running(tmp_path, **keys) as servers:
        leader = servers.leader()
        for number in range(60):
            body = {"SchedulerAlgorithm": "spread", "NodeLimitForFeasibilityChecks": number}
            assert servers.ask(leader, SCHEDULER, "PUT", body).status == 200
        for number in range(3):

            def stored(number: int = number) -> bool:
                return int(servers.stats(number)["last_snapshot_index"]) > 20

            until(stored, f"a snapshot of server {number}")
        servers.kill(0, 1, 2)
        servers.start()
        found = servers.ask(servers.leader(), SCHEDULER).json["SchedulerConfig"]
        assert found["NodeLimitForFeasibilityChecks"] == 59
        for number in range(3):
            assert int(servers.stats(number)["last_snapshot_index"]) > 20
            assert "Traceback" not in servers.log(number)


def test_a_removed_server_stays_out_until_it_asks_to_rejoin(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        gone = (leader + 1) % 3
        term = servers.stats(leader)["term"]
        servers.kill(gone)
        address = f"127.0.0.1:{servers.rpc[gone]}"
        path = f"/v1/operator/raft/peer?address={address}"
        assert servers.ask(leader, path, "DELETE").status == 200
        assert address not in servers.ask(leader, "/v1/status/peers").json
        other = (leader + 2) % 3
        refused = servers.ask(
            leader, f"/v1/operator/raft/peer?address=127.0.0.1:{servers.rpc[gone]}", "DELETE"
        )
        assert refused.status == 500
        servers.start(gone)

        def told() -> bool:
            answer = servers.ask(gone, "/v1/agent/health")
            return answer.status == 500 and "removed from the cluster at index" in answer.text

        until(told, "the removed server to know that it was removed")
        assert address not in servers.ask(leader, "/v1/status/peers").json
        assert servers.ask(gone, "/v1/agent/rejoin", "PUT").status == 200
        until(lambda: servers.voters() == 3, "the removed server to vote again")
        until(lambda: servers.ask(gone, "/v1/agent/health").status == 200, "its good health")
        assert servers.leader() == leader
        assert servers.stats(other)["term"] == term


def test_removing_a_live_voter_that_would_end_the_quorum_needs_force(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        dead, live = (leader + 1) % 3, (leader + 2) % 3
        servers.kill(dead)

        def refused() -> bool:
            path = f"/v1/operator/raft/peer?address=127.0.0.1:{servers.rpc[live]}"
            answer = servers.ask(leader, path, "DELETE")
            return answer.status == 409 and "1 live of 2 voters" in answer.text

        # While the dead one still counts as live for a moment, nothing is asked in earnest.
        until(
            lambda: servers.ask(leader, "/v1/agent/members").text.count('"failed"') == 1,
            "the death to be known",
        )
        assert refused()
        assert servers.voters() == 3


def test_without_quorum_stale_reads_are_answered_and_consistent_ones_refused(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        rest = [number for number in range(3) if number != leader]
        servers.kill(*rest)
        until(lambda: servers.stats(leader)["state"] != "Leader", "the leader to step down")
        stale = servers.ask(leader, "/v1/operator/raft/configuration?stale")
        assert stale.status == 200
        assert not any(row["Leader"] for row in stale.json["Servers"])
        consistent = servers.ask(leader, "/v1/operator/raft/configuration")
        assert (consistent.status, consistent.text) == (500, "No cluster leader")
        assert servers.ask(leader, "/v1/agent/health").status == 500
