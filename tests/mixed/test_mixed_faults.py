"""Mixed clusters under load while servers die, stand still, are cut off, come and go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from lengths import cases
from mixed_churn import Churn
from mixed_cluster import cluster
from mixed_load import Load

pytestmark = pytest.mark.process

MISHAPS = 8
MORE_MISHAPS = int(os.environ.get("MIXED_MISHAPS", "40"))
FRESH = None  # a seed of this run, or MIXED_SEED


@pytest.mark.parametrize(
    ("makes", "leaders"),
    cases([("ggq", "gq")], [(makes, "gqgqgq") for makes in ("ggq", "gqq", "gggqq", "ggqqq")]),
)
def test_kill_9_of_each_under_load(tmp_path: Path, makes: str, leaders: str) -> None:
    with cluster(tmp_path, makes, trailing=50) as mixed, Load(mixed) as load:
        for make in leaders:  # it is killed as leader, and as follower
            leader = mixed.lead(make)
            load.more(30)
            leader.kill()
            load.more(30)
            mixed.start(leader.name)
            # The one of that make may lead again by now.
            candidates = [p for p in mixed.others(mixed.leader()) if p.make == make]
            for follower in candidates[:1]:
                follower.kill()
                load.more(30)
                mixed.start(follower.name)


@pytest.mark.timeout(MORE_MISHAPS * 3 + 120)
@pytest.mark.parametrize(
    ("makes", "release", "seed", "mishaps"),
    cases(
        [("ggqqq", "v1.7", 4, MISHAPS)],
        [
            ("ggqqq", "v1.7", FRESH, MORE_MISHAPS),
            ("gggqq", "v1.7", FRESH, MORE_MISHAPS),
            ("ggqqq", "v1.8", FRESH, MORE_MISHAPS),
        ],
    ),
)
def test_churn(tmp_path: Path, makes: str, release: str, seed: int | None, mishaps: int) -> None:
    seed = seed or int(os.environ.get("MIXED_SEED", "0")) or int(time.time())
    print(f"{makes}, hashicorp/raft {release}, seed {seed}")
    with cluster(tmp_path, makes, trailing=100, release=release) as mixed, Load(mixed) as load:
        churn = Churn(mixed, load, seed)
        churn.run(mishaps)
    done = ", ".join(f"{name} {count}" for name, count in sorted(churn.counts.items()))
    print(f"{makes}, hashicorp/raft {release}, seed {seed}: {load.written} writes; {done}")
    print(f"afterwards led {churn.led['g']} times by Go, {churn.led['q']} by Quorate")
