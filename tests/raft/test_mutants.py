"""Every deliberate bug is found, by the stated number of seeds or by the stated scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant, mutated
from scenario_reader import replay
from sim_checks import ViolationError
from simulate import Life

FOLDER = Path(__file__).parent / "scenarios"


def found_in(scenario: str) -> bool:
    path = FOLDER / f"{scenario}.txt"
    try:
        return replay(path) != path.read_text()
    except AssertionError:
        return True


def found_by_seeds(seeds: int) -> bool:
    for seed in range(seeds):
        try:
            Life(seed).run()
        except ViolationError:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        by = mutant.found_by
        assert found_in(by) if isinstance(by, str) else found_by_seeds(by)
