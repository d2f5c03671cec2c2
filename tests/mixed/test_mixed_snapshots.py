"""A server that lost everything, or lags too far, gets a snapshot of the other make's leader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lengths import cases
from mixed_cluster import Cluster, Peer, cluster

pytestmark = pytest.mark.process

_TRAILING = 5


def installed(mixed: Cluster, leader: Peer, away: Peer, *, wiped: bool) -> bool:
    """Let `away` miss so much that `leader` has to send it a snapshot.

    False if leadership moved meanwhile, as it may on a busy machine: then who knows who sent it.
    """
    name = f"part{len(mixed.acknowledged)}"
    away.kill()
    if wiped:
        away.wipe()
    mixed.write(40, name, pad=60_000)
    term = mixed.lead(leader.name).state()["term"]
    leader.ask("snapshot")
    mixed.write(2 * _TRAILING, name + "-behind")
    leader.ask("snapshot")
    compacted = min(leader.entries())
    assert compacted > 40
    mixed.start(away.name)
    mixed.level()
    # It cannot have got from the log what the leader's log no longer has.
    assert away.state()["snapshot"] >= compacted - 1
    steady: bool = mixed.leader().state()["term"] == term
    # What it stored is whole: it starts from it.
    away.kill()
    mixed.start(away.name)
    mixed.level()
    return steady


def install(mixed: Cluster, leader: Peer, away: Peer, *, wiped: bool) -> None:
    """`away` gets a snapshot of `leader`; tried again if another one came to lead."""
    for _ in range(4):
        mixed.lead(leader.name)
        if installed(mixed, leader, away, wiped=wiped):
            return
    pytest.fail("leadership moved each time")


@pytest.mark.parametrize("wiped", [True, False])
@pytest.mark.parametrize(
    ("makes", "options"),
    cases(
        [("ggq", {})],
        [("gqq", {}), ("ggq", {"release": "v1.8"}), ("gqq", {"release": "v1.6", "prefix": False})],
    ),
)
def test_snapshots_go_both_ways(
    tmp_path: Path, makes: str, options: dict[str, Any], wiped: bool
) -> None:
    with cluster(tmp_path, makes, trailing=_TRAILING, **options) as mixed:
        for make in "gq":
            leader = mixed.lead(make)
            away = next(peer for peer in mixed.others(leader) if peer.make != make)
            install(mixed, leader, away, wiped=wiped)


def test_an_installed_snapshot_is_sent_on(tmp_path: Path) -> None:
    # What ours got from a Go leader it sends to a Go follower, and the reverse.
    with cluster(tmp_path, "ggq", trailing=_TRAILING) as mixed:
        first = mixed.lead("g")
        ours = next(peer for peer in mixed.founders if peer.make == "q")
        last = mixed.others(first, ours)[0]
        install(mixed, first, ours, wiped=True)
        install(mixed, ours, last, wiped=True)
        install(mixed, last, ours, wiped=True)
