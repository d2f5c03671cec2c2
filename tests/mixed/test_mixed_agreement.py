"""Clusters of both makes: either founds, either leads, either hands over; the logs are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lengths import cases
from mixed_cluster import Refused, cluster, until
from mixed_load import Load

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("makes", "by", "options"),
    cases(
        [
            ("ggq", "g", {}),
            ("gqq", "q", {"prefix": False}),
            ("gggqq", "", {"new_time": True, "in_flight": 64}),
        ],
        [
            ("ggq", "q", {"prefix": False}),
            ("gqq", "g", {}),
            ("ggqqq", "", {"g_multiplier": 0.5, "in_flight": 1}),
            ("ggq", "", {"release": "v1.8"}),
            ("ggqqq", "", {"release": "v1.8", "prefix": False}),
            ("gq", "g", {}),
            ("gq", "q", {"release": "v1.8"}),
        ],
    ),
)
def test_either_make_leads_and_hands_over(
    tmp_path: Path, makes: str, by: str, options: dict[str, Any]
) -> None:
    with cluster(tmp_path, makes, by, **options) as mixed:
        with Load(mixed) as load:
            # Each step is a transfer to a named server of the other make.
            for step, make in enumerate("qgqg"):
                assert mixed.lead(make).make == make
                load.more(50)
                mixed.write(3, f"big{step}", pad=300_000)
            leader = mixed.leader()

            def moved() -> bool:
                if mixed.leader() is leader:
                    leader.ask("transfer")  # it chooses whom
                return mixed.leader() is not leader

            until(moved, "leadership is handed over")
            load.more(50)
        for peer in mixed.founders:
            peer.ask("snapshot")


@pytest.mark.parametrize("make", ["g", "q"])
def test_linearizable_reads_show_what_was_acknowledged(tmp_path: Path, make: str) -> None:
    with cluster(tmp_path, "ggq") as mixed:
        leader = mixed.lead(make)
        for number in range(20):
            mixed.write(1, f"r{number}")
            # A Go leader writes an entry of type Barrier for it, which ours has to take.
            leader.ask("barrier")
            assert leader.state()["count"] == number + 1


@pytest.mark.parametrize("lease", cases([False], [True]))
def test_a_cut_off_leader_answers_no_read(tmp_path: Path, lease: bool) -> None:
    # Voters of the other make promise no lease, and elect another leader within what ours would be.
    options: dict[str, Any] = {"q_multiplier": 8.0, "g_multiplier": 0.5, "lease": lease}
    with cluster(tmp_path, "ggq", **options) as mixed:
        ours = mixed.lead("q")
        mixed.write(5, "before")
        ours.ask("barrier")
        mixed.isolate(ours.name)
        mixed.write(1, "unseen")
        assert ours.state()["role"] == "leader"  # as far as it knows
        with pytest.raises((Refused, OSError, ValueError)):
            ours.ask("barrier", timeout_s=15)


def test_extensions_of_entries_travel_on(tmp_path: Path) -> None:
    # Ours has no use for them, but has to hand them to servers that do.
    with cluster(tmp_path, "ggq", trailing=1000) as mixed:
        leader = mixed.lead("g")
        away = next(peer for peer in mixed.others(leader) if peer.make == "g")
        away.kill()
        for number in range(5):
            leader.ask("apply", data=f"e{number};", ext=f"extension {number}" * number)
        mixed.level()
        leader.kill()
        mixed.start(away.name)
        # Only ours has them, and gives them to the one that was away.
        assert mixed.leader().make == "q"
        mixed.level()
        mixed.start(leader.name)


def test_a_state_restored_by_an_operator_reaches_ours(tmp_path: Path) -> None:
    # It stands above a hole in the log of the Go leader, so all others get a snapshot.
    with cluster(tmp_path, "ggq") as mixed:
        leader = mixed.lead("g")
        mixed.write(20, "before", pad=10_000)
        last = leader.state()["last"]
        leader.ask("restore")
        mixed.write(5, "after")
        mixed.level()
        ours = next(peer for peer in mixed.founders if peer.make == "q")
        assert ours.state()["snapshot"] > last
        assert mixed.lead("q") is ours
        mixed.write(5, "led by ours")
