"""Pain 1: a majority is lost for good, and a plan lets the two that are left of five go on.

The most advanced leads within 30 s, has every write that it had acknowledged, and gives the other
one its vote back; a server that was left out stays out.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from gossiping_servers import cluster
from rehearsals import sections, typed
from server_processes import until

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(240)]

RECOVERED_S = 30.0


def test_a_left_out_majority_ends_when_it_meets_the_recovered_server(tmp_path: Path) -> None:
    """The worst mistake: one of three is recovered while the two others run, and lead."""
    with cluster(tmp_path) as servers:
        until(lambda: servers.run(0, "var", "put", "app/first", "k=v").code == 0, "a write")
        servers.move_leadership_to(1)
        servers.kill(0)
        row = {"id": servers.server_id(0), "address": servers.rpc_address(0)}
        file = servers.data_dir(0) / "server" / "raft" / "peers.json"
        file.write_text(json.dumps([row]))
        assert servers.run(1, "var", "put", "app/old", "k=v").code == 0
        servers.start(0)
        until(lambda: servers.rows(0).keys() == {row["id"]}, "the new configuration")
        until(lambda: servers.run(0, "var", "put", "app/new", "k=v").code == 0, "a write")
        for number in (1, 2):
            servers.log_says(number, "this server was left out of a recovery of the cluster")
            assert "was left out of a recovery" in servers.health(number)
        assert servers.run(1, "var", "put", "app/lost", "k=v").code != 0
        assert servers.stats(1)["state"] == servers.stats(2)["state"] == "Follower"
        assert servers.run(0, "var", "put", "app/after", "k=v").code == 0


def test_two_of_five_go_on_by_a_plan(tmp_path: Path) -> None:
    with cluster(tmp_path, 5) as servers:
        servers.write()
        first = ("var", "put", "app/0", "k=v")
        until(lambda: servers.run(0, *first).code == 0, "the level that variables need")
        for number in range(1, 20):
            done = servers.run(0, "var", "put", f"app/{number}", "k=v")
            assert done.code == 0, done
        ids = [servers.server_id(number) for number in range(5)]
        servers.kill(0, 1, 2, 3, 4)
        folders = [str(servers.data_dir(number)) for number in (0, 1)]
        words = {
            "http://10.0.0.1:4646": f"http://{servers.host(0)}:{servers.http[0]}",
            "/mnt/s1 /mnt/s3": " ".join(folders),
            "/mnt/s3": folders[1],
            "ID,ID": ",".join(ids[2:]),
        }
        plan, _, apply, verify, _, _, undo = sections()["By a plan"]
        began = time.monotonic()
        made = typed(plan, words, tmp_path)
        assert made.code == 0, made
        best = 0 if f"most advanced: {ids[0]}" in made.text else 1
        for folder in folders:
            applied = typed(apply, {"/var/lib/quorate": folder, **words}, tmp_path)
            assert applied.code == 0, applied
        assert typed(verify, words, tmp_path).code == 0
        servers.start(best)
        until(
            lambda: (
                servers.run(best, "var", "put", f"app/new-{time.monotonic_ns()}", "k=v").code == 0
            ),
            "the survivor to take a write",
            RECOVERED_S,
        )
        assert time.monotonic() - began < RECOVERED_S
        servers.start(1 - best)
        servers.all_vote(0, 1)
        for number in (0, 1):
            listed = servers.run(number, "var", "list", "-out=terse", "app/")
            names = listed.out.split()
            assert {f"app/{n}" for n in range(20)} <= set(names)
            assert any(name.startswith("app/new-") for name in names)
        # One that was left out comes back with its data, and stays out.
        servers.start(2)
        servers.log_says(2, "this server was left out of a recovery of the cluster")
        assert servers.rows(best).keys() == set(ids[:2])
        assert servers.run(best, "var", "put", "app/last", "k=v").code == 0
        # What was written since is not given up by an undo.
        servers.kill(0, 1)
        refused = typed(undo, {"/var/lib/quorate": folders[best]}, tmp_path)
        assert refused.code == 1
        assert "has written since" in refused.text


def test_a_plan_asks_a_survivor_that_runs_and_is_undone(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        servers.write()
        ids = [servers.server_id(number) for number in range(3)]
        servers.kill(0, 1, 2)
        servers.start(0)
        until(lambda: "No cluster leader" in servers.health(0), "the survivor to say so")
        folder = str(servers.data_dir(0))
        words = {
            "http://10.0.0.1:4646": f"http://{servers.host(0)}:{servers.http[0]}",
            "/mnt/s3": "",
            "ID,ID": ",".join(ids[1:]),
            "/var/lib/quorate": folder,
        }
        _, asking, apply, _, _, _, undo = sections()["By a plan"]
        made = typed(asking, words, tmp_path)
        assert made.code == 0, made
        servers.kill(0)
        for command in (apply, undo):
            done = typed(command, words, tmp_path)
            assert done.code == 0, done
        servers.start(0, 1, 2)
        servers.all_vote()
        until(lambda: servers.written(0) == "spread", "what was written before")
