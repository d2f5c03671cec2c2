"""A server that lost everything, or lags too far, gets a snapshot of the other make's leader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mixed_cluster import Cluster, Peer, cases, cluster

pytestmark = pytest.mark.process

_TRAILING = 5


def install(mixed: Cluster, leader: Peer, away: Peer, name: str, *, wiped: bool) -> None:
    """Let `away` miss so much that `leader` has to send it a snapshot."""
    away.kill()
    if wiped:
        away.wipe()
    mixed.write(40, name, pad=60_000)
    leader.ask("snapshot")
    mixed.write(2 * _TRAILING, name + "-behind")
    leader.ask("snapshot")
    compacted = min(leader.entries())
    assert compacted > 40
    mixed.start(away.name)
    mixed.level()
    assert mixed.leader() is leader
    # It cannot have got from the log what the leader's log no longer has.
    assert away.state()["snapshot"] >= compacted - 1
    # What it stored is whole: it starts from it.
    away.kill()
    mixed.start(away.name)
    mixed.level()


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
        for number, make in enumerate("gq"):
            leader = mixed.lead(make)
            away = next(peer for peer in mixed.others(leader) if peer.make != make)
            install(mixed, leader, away, f"part{number}", wiped=wiped)


def test_an_installed_snapshot_is_sent_on(tmp_path: Path) -> None:
    # What ours got from a Go leader it sends to a Go follower, and the reverse.
    with cluster(tmp_path, "ggq", trailing=_TRAILING) as mixed:
        first = mixed.lead("g")
        ours = next(peer for peer in mixed.founders if peer.make == "q")
        last = mixed.others(first, ours)[0]
        install(mixed, first, ours, "first", wiped=True)
        assert mixed.lead("q") is ours
        install(mixed, ours, last, "second", wiped=True)
        assert mixed.lead(last.name) is last
        install(mixed, last, ours, "third", wiped=True)
