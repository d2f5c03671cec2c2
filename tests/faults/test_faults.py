"""Five servers under faults for a minute: nothing lost, no stale read, soon a leader again."""

from __future__ import annotations

from pathlib import Path
from random import SystemRandom

import pytest
from fault_kinds import FAULTS
from fault_lengths import either
from fault_run import RECOVERY_BOUND_S, run, schedule

pytestmark = [pytest.mark.process, pytest.mark.timeout(540)]

SEEDS = [(2026, 40.0), (SystemRandom().randrange(10**6), either(8.0, 300.0))]


@pytest.mark.parametrize(("seed", "seconds"), SEEDS, ids=["the same", "another"])
def test_servers_under_faults(tmp_path: Path, seed: int, seconds: float) -> None:
    report = run(tmp_path, seed, seconds, hold_s=(1.0, 3.0))
    print(report)
    assert report.operations > 20 * len(report.recoveries)
    slow = [r for r in report.recoveries if r.after > RECOVERY_BOUND_S]
    assert len(slow) <= len(report.recoveries) // 3, slow


def test_every_fault_has_its_turn() -> None:
    assert set(schedule(1, FAULTS)[: len(FAULTS)]) == set(FAULTS)
    assert schedule(1, FAULTS) == schedule(1, FAULTS) != schedule(2, FAULTS)
