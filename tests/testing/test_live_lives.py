"""Simulated clusters whose survivors are recovered while they run: seeds, and mutants."""

from __future__ import annotations

from collections import Counter
from random import SystemRandom

import pytest
from lengths import cases
from places import DOCS
from recovery_mutants import LIVE_MUTANTS, Mutant, mutated

from quorate.testing.recovered.__main__ import main
from quorate.testing.recovered.life import FailedRecoveryError
from quorate.testing.recovered.live import LIVE_SITUATIONS, LiveLife

FIXED_SEEDS = range(60)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_fixed_seeds_meet_all_situations() -> None:
    met: Counter[str] = Counter()
    for seed in FIXED_SEEDS:
        met.update(LiveLife(seed).run().met)
    assert not [name for name in LIVE_SITUATIONS if not met[name]]


def test_a_fresh_seed(capsys: pytest.CaptureFixture[str]) -> None:
    seed = SystemRandom().randrange(1 << 32)
    code = main(["--live", "--seed", str(seed)])
    assert code == 0, capsys.readouterr().out


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", cases([], LIVE_MUTANTS), ids=lambda mutant: mutant.name)
def test_a_bug_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        for seed in mutant.seeds:
            try:
                LiveLife(seed).run()
            except FailedRecoveryError as failure:
                if mutant.found_as in failure.rule:
                    return
    pytest.fail(f"{mutant.name} was not found by {mutant.seeds}")


def test_the_page_names_each() -> None:
    page = (DOCS / "verification.md").read_text()
    for mutant in LIVE_MUTANTS:
        seeds = f"{mutant.seeds.start} to {mutant.seeds.stop - 1}"
        assert f'| {mutant.name} | {seeds} | "{mutant.found_as}" |' in page, mutant.name
