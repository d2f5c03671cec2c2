"""Five servers under faults: nothing lost, no stale read, soon a leader again."""

from __future__ import annotations

from pathlib import Path
from random import SystemRandom

import pytest
from fault_kinds import FAULTS
from fault_run import RECOVERY_BOUND_S, run, schedule
from lengths import cases

pytestmark = [pytest.mark.process, pytest.mark.timeout(540)]

FRESH = None  # a seed of this run


@pytest.mark.parametrize(
    ("seed", "faults"), cases([(2026, 6)], [(2026, len(FAULTS)), (FRESH, 2 * len(FAULTS))])
)
def test_servers_under_faults(tmp_path: Path, seed: int | None, faults: int) -> None:
    seed = seed or SystemRandom().randrange(10**6)
    report = run(tmp_path, seed, most=faults, hold_s=(1.0, 3.0))
    print(report)
    assert report.operations > 20 * len(report.recoveries)
    slow = [r for r in report.recoveries if r.after > RECOVERY_BOUND_S]
    assert len(slow) <= len(report.recoveries) // 3, slow


def test_every_fault_has_its_turn() -> None:
    assert set(schedule(1, FAULTS)[: len(FAULTS)]) == set(FAULTS)
    assert schedule(1, FAULTS) == schedule(1, FAULTS) != schedule(2, FAULTS)
