"""Servers of hashicorp/raft at Raft protocol 2, where a server's id is its address."""

from __future__ import annotations

from pathlib import Path

import pytest
from lengths import cases
from mixed_cluster import NONVOTER, Cluster, Peer, Refused, cluster, until
from mixed_load import Load

pytestmark = pytest.mark.process

_NOT_SUPPORTED = "operation not supported with current protocol version"


def led_by(mixed: Cluster, make: str) -> Peer:
    """A leader of that make. One at protocol 2 hands over nothing: it is killed instead."""
    while (leader := mixed.leader()).make != make:
        target = next(peer for peer in mixed.founders if peer.make == make)
        try:
            leader.ask("transfer", id=target.id, address=target.address)
        except Refused:
            leader.kill()
            mixed.leader()
            mixed.start(leader.name)
    return leader


@pytest.mark.parametrize(
    ("makes", "by", "protocols"),
    cases(
        [("gqq", "g", {"g": 2})],
        [
            ("ggq", "q", {"g1": 2, "g2": 3}),
            ("ggq", "g", {"g": 2}),
            ("gqq", "q", {"g": 2}),
            ("gggqq", "g", {"g": 2}),
        ],
    ),
)
def test_protocol_2_takes_part(
    tmp_path: Path, makes: str, by: str, protocols: dict[str, int]
) -> None:
    # Founded by a server at protocol 2 the first entry is of the deprecated kind.
    options = {"protocols": protocols, "by_address": True, "trailing": 5}
    with cluster(tmp_path, makes, by, **options) as mixed:
        with Load(mixed) as load:
            for make in "qgq":
                led_by(mixed, make)
                load.more(50)
        ours = next(peer for peer in mixed.founders if peer.make == "q")
        kind = ours.entries()[1][1]
        assert kind == (3 if by == "g" and protocols.get("g") == 2 else 5)

        for make in "qg":  # snapshots both ways
            leader = led_by(mixed, make)
            away = next(peer for peer in mixed.others(leader) if peer.make != make)
            away.kill()
            away.wipe()
            mixed.write(30, f"away-{make}")
            leader.ask("snapshot")
            mixed.start(away.name)
            mixed.level()
            assert away.state()["snapshot"] > 0


def test_what_protocol_2_can_change(tmp_path: Path) -> None:
    options = {"protocols": {"g": 2}, "by_address": True}
    with cluster(tmp_path, "gqq", "g", spares="qg", **options) as mixed:
        leader = led_by(mixed, "g")
        ours, theirs = list(mixed.peers.values())[-2:]
        mixed.start(ours.name, theirs.name)
        mixed.change("add_voter", ours)
        mixed.change("remove", mixed.others(leader)[0])
        mixed.level()
        for kind in ("add_nonvoter", "demote"):
            with pytest.raises(Refused, match=_NOT_SUPPORTED):
                leader.ask("change", kind=kind, id=theirs.id, address=theirs.address)
        with pytest.raises(Refused, match=_NOT_SUPPORTED):
            leader.ask("transfer")

        # A leader of ours does all of it, with servers at protocol 2 as the ones concerned.
        led_by(mixed, "q")
        mixed.change("add_nonvoter", theirs)
        mixed.level()
        servers = mixed.leader().state()["servers"]
        assert {s["id"]: s["suffrage"] for s in servers}[theirs.id] == NONVOTER
        mixed.change("promote", theirs)
        mixed.change("demote", leader)
        mixed.change("promote", leader)
        mixed.level()
        assert mixed.lead(theirs.name) is theirs


def test_protocol_1_is_followed_by_nobody(tmp_path: Path) -> None:
    # It hears ours, but nothing that it asks is granted (docs/wire.md#header-check).
    options = {"protocols": {"g": 1}, "by_address": True, "expected": _NOT_SUPPORTED}
    with cluster(tmp_path, "gqq", "q", **options) as mixed:
        old = mixed["g1"]
        mixed.write(5, "before")
        mixed.level()
        mixed.isolate(old.name)
        until(lambda: old.state()["role"] == "candidate", "it campaigns")
        mixed["q1"].kill()
        mixed.mend()
        mixed.start("q1")
        assert mixed.leader().make == "q"
