"""Whole pools on virtual time: lives from seeds, and the promises of docs/gossip-figures.md."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from gossip_figures import figures
from gossip_life import Life, ViolationError
from gossip_mutants import MUTANTS, Mutant
from gossip_pool import Pool, formed
from lengths import cases
from mutation import replaced

from quorate.gossip.messages import SerfStatus

# A part of what `gossip_life.py --count` lives through; each found something once (BUGS.md).
FOUND = (2, 17, 29, 53, 164, 221, 247, 382, 1127, 1138, 2423, 5329)


@pytest.mark.parametrize("seed", cases([*FOUND, *range(9000, 9010)], range(9010, 9100)))
def test_life(seed: int) -> None:
    Life(seed).run()


def trace(seed: int, hash_seed: str) -> str:
    script = (
        f"from gossip_life import Life; life = Life({seed}, trace=True); life.run();"
        "print(life.pool.trace.hexdigest())"
    )
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_life_is_the_same_whatever_the_hashes_of_names() -> None:
    traces = {trace(7, hash_seed) for hash_seed in ("0", "1", "4711")}
    assert len(traces) == 1
    assert len(traces.pop()) == 32


def test_a_killed_server_of_five_is_seen_by_all_within_five_seconds() -> None:
    times = []
    for seed in range(60):
        pool = Pool(seed, keep_log=False)
        pool.grow(5)
        assert pool.run_until(pool.agrees, 5.0) < 1.0, f"seed {seed}: the join"
        pool.run(3.0 + seed / 20)
        pool.stop("s2")
        times.append(pool.run_until(lambda p=pool: p.sees("s2", SerfStatus.FAILED), 30.0))  # type: ignore[misc]  # bound now
    assert max(times) < 5.0
    # Less would mean that nobody is given the time to refute.
    assert min(times) > 2.0


def test_nobody_is_accused_while_all_is_well() -> None:
    pool = formed(60, 1)
    pool.run(60.0)
    for host in pool.up():
        assert host.node.awareness.score == 0
        assert host.node.incarnation == 1
    assert pool.agrees()


def test_the_load_of_a_member_does_not_grow_with_the_pool() -> None:
    loads = []
    for members in (10, 100):
        pool = formed(members, 2)
        pool.run(10.0)
        loads.append(sum(host.packets for host in pool.up()) / members / 10.0)
    # Two probes a second: ping and ack of our own, and the same for another's.
    assert loads == pytest.approx([4.0, 4.0], rel=0.05)


def test_the_figures_keep_their_promises() -> None:
    """The script behind docs/gossip-figures.md, shortened: 10 and 60 members, few deaths."""
    for row in figures(sizes=(10, 60), deaths=6):
        assert row.first_suspicion_s < 2.5 * row.expected_suspicion_s
        assert row.spread_s < 2 * row.expected_spread_s
        assert row.packets_per_member_s == pytest.approx(4.0, rel=0.1)
        assert row.false_suspicions == 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_found(mutant: Mutant) -> None:
    with (
        replaced(mutant.name, mutant.function, mutant.old, mutant.new),
        pytest.raises(ViolationError),
    ):
        Life(mutant.seed).run()
