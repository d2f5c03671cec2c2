"""Membership led by each make, with servers of both as the ones that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lengths import cases
from mixed_cluster import NONVOTER, VOTER, Cluster, Peer, Refused, cluster, until
from mixed_load import Load

pytestmark = pytest.mark.process


def suffrages(mixed: Cluster) -> dict[str, int]:
    """What the leader's configuration says, by name."""
    servers = mixed.leader().state()["servers"]
    return {mixed.by_id(s["id"]).name: s["suffrage"] for s in servers}


def follows(mixed: Cluster, peer: Peer) -> Any:
    """True once `peer` has applied all that the leader has."""
    return until(
        lambda: peer.state()["digest"] == mixed.leader().state()["digest"],
        f"{peer.name} caught up",
    )


@pytest.mark.parametrize(
    ("founders", "leading", "options"),
    cases(
        [("ggq", "g", {}), ("gqq", "q", {})],
        [("gqq", "g", {}), ("ggq", "q", {}), ("gqq", "g", {"release": "v1.8"})],
    ),
)
def test_servers_come_and_go(
    tmp_path: Path, founders: str, leading: str, options: dict[str, Any]
) -> None:
    other = "q" if leading == "g" else "g"
    with cluster(tmp_path, founders, spares="gq", trailing=10, **options) as mixed:
        leader = mixed.lead(leading)
        spares = list(mixed.peers.values())[-2:]
        same = next(peer for peer in spares if peer.make == leading)
        fresh = next(peer for peer in spares if peer.make == other)
        mixed.write(30, "before")
        leader.ask("snapshot")  # who is added needs it

        mixed.start(fresh.name)
        mixed.change("add_nonvoter", fresh)
        mixed.write(5, "nonvoter")
        follows(mixed, fresh)
        assert suffrages(mixed)[fresh.name] == NONVOTER
        mixed.change("promote", fresh)
        assert suffrages(mixed)[fresh.name] == VOTER
        mixed.start(same.name)
        mixed.change("add_voter", same)
        mixed.level()

        old = next(peer for peer in mixed.others(leader) if peer.make == other)
        mixed.change("demote", old)
        assert suffrages(mixed)[old.name] == NONVOTER
        mixed.write(5, "demoted")
        mixed.level()
        mixed.change("promote", old)
        mixed.level()
        mixed.change("remove", old)
        mixed.write(5, "removed")
        assert old.name not in suffrages(mixed)
        with pytest.raises(Refused):
            leader.ask("change", kind="remove", id=fresh.id, prev=1)  # decided by old news

        # The one that leads removes itself; all others go on, and take it in again.
        mixed.level()
        term = leader.state()["term"]
        with Load(mixed) as load:
            leader.ask("change", kind="remove", id=leader.id)
            until(lambda: mixed.leader() is not leader, "another leader")
            load.more(30)
        assert leader.name not in suffrages(mixed)
        assert mixed.leader().state()["term"] > term
        mixed.change("add_voter", leader)
        follows(mixed, leader)


@pytest.mark.parametrize("leading", cases(["q"], ["g"]))
def test_a_leader_demotes_itself(tmp_path: Path, leading: str) -> None:
    with cluster(tmp_path, "ggqq") as mixed:
        leader = mixed.lead(leading)
        mixed.write(5, "before")
        leader.ask("change", kind="demote", id=leader.id)
        mixed.write(5, "after")
        assert suffrages(mixed)[leader.name] == NONVOTER
        mixed.change("promote", leader)


@pytest.mark.parametrize("leading", cases(["g"], ["q"]))
def test_a_change_that_nobody_heard_of_is_undone(tmp_path: Path, leading: str) -> None:
    # The cut-off leader has a configuration in its log that is replaced when it comes back.
    with cluster(tmp_path, "ggqq", spares="g") as mixed:
        leader = mixed.lead(leading)
        spare = list(mixed.peers.values())[-1]
        mixed.write(3, "before")
        mixed.isolate(leader.name)
        change = {"kind": "add_nonvoter", "id": spare.id, "address": spare.address}
        with pytest.raises((Refused, OSError, ValueError)):
            leader.ask("change", timeout_s=15, **change)
        mixed.write(3, "instead")
        mixed.mend()
        mixed.level()
        assert spare.id not in {s["id"] for s in leader.state()["servers"]}


@pytest.mark.parametrize("first", cases(["g"], ["q"]))
def test_one_server_grows_to_five(tmp_path: Path, first: str) -> None:
    with cluster(tmp_path, first, spares="gqgq" if first == "q" else "qgqg") as mixed:
        with Load(mixed) as load:
            for peer in list(mixed.peers.values())[1:]:
                mixed.start(peer.name)
                mixed.change("add_voter", peer)
                load.more(20)
        assert len(suffrages(mixed)) == 5


@pytest.mark.parametrize("leading", cases(["q"], ["g"]))
def test_a_server_comes_back_at_another_address(tmp_path: Path, leading: str) -> None:
    with cluster(tmp_path, "ggqq") as mixed:
        leader = mixed.lead(leading)
        for moved in [p for p in mixed.others(leader) if p.make != leading][:1]:
            mixed.write(5, "before")
            moved.kill()
            moved.address = f"127.0.0.1:{mixed.wires.lead_to(moved.name, moved.bind)}"
            mixed.change("add_voter", moved)
            mixed.start(moved.name)
            mixed.write(5, "after")
            mixed.level()
            mixed.lead(moved.name)
            mixed.write(5, "led from there")
