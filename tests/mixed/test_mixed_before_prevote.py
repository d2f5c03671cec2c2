"""Servers of hashicorp/raft before 1.7: they close the connection that asks for a pre-vote."""

from __future__ import annotations

from pathlib import Path

import pytest
from lengths import cases
from mixed_cluster import cluster, until
from mixed_load import Load

pytestmark = pytest.mark.process

RELEASE = "v1.6"


@pytest.mark.parametrize("makes", cases(["gqq"], ["ggqqq"]))
def test_a_majority_that_knows_pre_vote_does_all(tmp_path: Path, makes: str) -> None:
    with cluster(tmp_path, makes, release=RELEASE) as mixed, Load(mixed) as load:
        for make in "qgqg":
            mixed.lead(make)
            load.more(50)
        for _ in range(2):
            leader = mixed.lead("g")
            leader.kill()
            follower = mixed.leader()
            assert follower is not leader
            assert follower.make == "q" or makes == "ggqqq"
            load.more(50)
            mixed.start(leader.name)


def test_without_such_a_majority_ours_is_not_elected_but_theirs_is(tmp_path: Path) -> None:
    with cluster(tmp_path, "ggq", release=RELEASE) as mixed:
        ours, behind, third = mixed["q1"], mixed["g1"], mixed["g2"]
        behind.kill()
        mixed.write(5, "missed")
        third.kill()
        mixed.start(behind.name)
        # Ours alone has the log to lead, and the only other voter does not understand it.
        until(lambda: ours.count_in_log("pre-candidate") >= 5, "it asks again and again")
        assert ours.state()["role"] != "leader"
        mixed.start(third.name)
        assert mixed.leader() is third
        assert mixed.lead("q") is ours  # handed over, it leads all the same
