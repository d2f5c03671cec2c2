"""Mixed clusters under load while servers die, stand still, are cut off, come and go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from mixed_churn import Churn
from mixed_cluster import ALL, Cluster, Peer, cases, cluster
from mixed_load import Load

pytestmark = pytest.mark.process

CHURN_S = float(os.environ.get("MIXED_SECONDS", "6"))
SEED = int(os.environ.get("MIXED_SEED", "0")) or int(time.time())


@pytest.mark.parametrize("makes", cases(["ggq", "gqq"], ["gggqq", "ggqqq"]))
def test_kill_9_of_each_under_load(tmp_path: Path, makes: str) -> None:
    with cluster(tmp_path, makes, trailing=50) as mixed, Load(mixed) as load:
        for make in "gq" if not ALL else "gqgqgq":  # as leader and as follower
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


@pytest.mark.timeout(CHURN_S * 2 + 120)
@pytest.mark.parametrize(
    ("makes", "release", "seed"),
    cases([("ggqqq", "v1.7", 4)], [("gggqq", "v1.7", SEED), ("ggqqq", "v1.8", SEED + 1)]),
)
def test_churn(tmp_path: Path, makes: str, release: str, seed: int) -> None:
    print(f"MIXED_SEED={seed}")
    with cluster(tmp_path, makes, trailing=100, release=release) as mixed:
        with Load(mixed) as load:
            churn = Churn(mixed, load, seed)
            churn.run(CHURN_S)
        print(
            f"{makes} {release}: {load.written} writes; done {dict(churn.counts)}; led {churn.led}"
        )


def rate(mixed: Cluster, seconds: float, writers: int) -> float:
    """Acknowledged writes a second."""
    with Load(mixed, writers, name=f"rate{time.monotonic_ns()}-") as load:
        load.more(20)
        before, started = load.written, time.monotonic()
        while time.monotonic() < started + seconds:
            load.more(1)
        return (load.written - before) / (time.monotonic() - started)


def replaced_after(mixed: Cluster, dying: Peer) -> float:
    """Seconds from the leader's death until all others follow another."""
    dying.kill()
    started = time.monotonic()
    mixed.leader()
    taken = time.monotonic() - started
    mixed.start(dying.name)
    return taken


@pytest.mark.skipif(not ALL, reason="facts for the documentation: `make mixed` measures them")
@pytest.mark.parametrize("multiplier", [1.0])
def test_measured(tmp_path: Path, multiplier: float, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    with cluster(tmp_path, "ggqq", g_multiplier=multiplier) as mixed:
        for make in "gq":
            mixed.lead(make)
            rates = [rate(mixed, 5, writers) for writers in (1, 16)]
            times = sorted(replaced_after(mixed, mixed.lead(make)) for _ in range(5))
            rows.append((make, rates, times))
    with capsys.disabled():
        for make, rates, times in rows:
            print(
                f"\n{make} leads: {rates[0]:.0f} writes/s by 1 writer, {rates[1]:.0f} by 16;"
                f" killed, it is replaced after {times[2]:.2f} s (median of 5; {times})"
            )
