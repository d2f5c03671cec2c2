"""Pains 1 and 2: a lost quorum, and the recovery by peers.json that must not be an outage itself.

Two of three servers are gone. The survivor is given a peers.json, starts, leads and is written to;
what it held is there. A server that was left out, and comes back with its old data, changes nothing
and is told why; one that comes back with an empty folder is a new one, and is taken in.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

RECOVERED_S = 30.0


def peers_file(servers: GossipingServers, number: int) -> Path:
    return servers.data_dir(number) / "server" / "raft" / "peers.json"


def put_variable(servers: GossipingServers, number: int, path: str, value: str) -> None:
    done = servers.run(number, "var", "put", path, f"k={value}")
    assert done.code == 0, done


def test_one_survivor_goes_on_alone_and_the_left_out_server_stays_out(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write()
        put_variable(servers, 0, "app/db", "before")
        index = int(
            json.loads(servers.run(0, "var", "get", "-out=json", "app/db").out)["ModifyIndex"]
        )
        servers.kill(0, 1, 2)
        servers.wipe(1)  # its disk is gone; that of server 2 comes back later

        # A file that is wrong stops the start, by line and cure, and is still there.
        row = {"id": servers.server_id(0), "address": servers.rpc_address(0).replace(":", ":1")}
        peers_file(servers, 0).write_text(json.dumps([row]))
        refused = servers.run(0, "agent", f"-config={servers.config(0)}")
        assert refused.code == 1
        assert "peers.json, line 1: " in refused.err + refused.out
        assert "nothing was changed" in refused.err + refused.out
        assert peers_file(servers, 0).exists()

        watch = servers.stopwatch()
        row["address"] = servers.rpc_address(0)
        peers_file(servers, 0).write_text(json.dumps([row]))
        servers.start(0)
        until(lambda: servers.rows(0).keys() == {row["id"]}, "the new configuration")
        until(
            lambda: servers.run(0, "var", "put", "app/new", "k=after").code == 0,
            "the survivor to take a write",
        )
        assert watch.seconds() < RECOVERED_S
        assert not peers_file(servers, 0).exists()
        servers.log_says(0, "recovered: this server goes on with", "in epoch 1 (")
        assert servers.written(0) == "spread"
        got = json.loads(servers.run(0, "var", "get", "-out=json", "app/db").out)
        assert (got["Items"], got["ModifyIndex"]) == ({"k": "before"}, index)
        new = json.loads(servers.run(0, "var", "get", "-out=json", "app/new").out)
        assert new["ModifyIndex"] > index + (1 << 20)

        # The server that was left out comes back with its data.
        term = servers.stats(0)["term"]
        servers.start(2)
        servers.log_says(0, "was left out of a recovery")
        servers.log_says(2, "this server was left out of a recovery of the cluster")
        assert servers.rows(0).keys() == {row["id"]}
        assert servers.stats(0)["term"] == term
        put_variable(servers, 0, "app/still", "x")
        # And a restart of the survivor is a start as any other.
        servers.kill(0)
        servers.start(0)
        until(lambda: servers.written(0) == "spread", "the survivor to be back")
        put_variable(servers, 0, "app/again", "x")

        # The server whose disk is gone is a new one: it is taken in, and gets its vote.
        servers.start(1)
        until((servers.data_dir(1) / "server" / "node-id").exists, "the new server to have an ID")
        servers.all_vote(0, 1)
        assert servers.written(1) == "spread"
        # What it has learned of the recovery stands on its disk.
        servers.kill(1)
        servers.start(1)
        until(lambda: servers.written(1) == "spread", "the new server to be back")
        servers.all_vote(0, 1)
        put_variable(servers, 1, "app/whole", "x")
