"""What each server believes, with one of them dead; and a removed server that is asked back."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_processes import Servers, running, until

pytestmark = pytest.mark.process

VIEWS = "/v1/operator/raft/views"


def voters_of(servers: Servers, number: int) -> int:
    rows = servers.ask(number, "/v1/operator/raft/configuration?stale").json["Servers"]
    return sum(row["Voter"] for row in rows)


def test_views_with_a_dead_server_and_a_removed_one_that_rejoins(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        asked, other = (leader + 1) % 3, (leader + 2) % 3
        views = servers.ask(asked, VIEWS).json["Servers"]
        assert [view["Node"] for view in views] == ["s0.global", "s1.global", "s2.global"]
        assert {view["Error"] for view in views} == {""}
        assert [view["Role"] for view in views].count("leader") == 1
        assert len({view["Term"] for view in views}) == 1
        assert {len(view["Configuration"]["Servers"]) for view in views} == {3}
        assert servers.ask(asked, "/v1/agent/join?address=127.0.0.1", "PUT").status == 501

        # A member has nothing to rejoin; one that was removed while it runs comes back.
        refused = servers.ask(other, "/v1/agent/rejoin", "PUT")
        assert (refused.status, "in the Raft configuration" in refused.text) == (409, True)
        path = f"/v1/operator/raft/peer?address=127.0.0.1:{servers.rpc[other]}"
        assert servers.ask(leader, path, "DELETE").status == 200
        assert voters_of(servers, leader) == 2
        assert servers.ask(other, "/v1/agent/rejoin", "PUT").status == 200
        until(lambda: voters_of(servers, leader) == 3, "the removed server to vote again")

        # A dead one is a line in the list, and the list comes in time.
        servers.kill(other)

        def failed() -> bool:
            rows = servers.ask(leader, "/v1/operator/raft/configuration").json["Servers"]
            row = next(r for r in rows if r["Address"].endswith(str(servers.rpc[other])))
            return bool(row["Status"] == "failed" and row["LastContact"].startswith("20"))

        until(failed, "the configuration to say that it failed, and when it was heard")
        watch = servers.stopwatch()
        views = servers.ask(asked, VIEWS).json["Servers"]
        assert watch.seconds() < 4.0
        dead = views[other]
        assert "connection refused" in dead["Error"]
        assert dead["Configuration"] is None
        assert sum(not view["Error"] for view in views) == 2
