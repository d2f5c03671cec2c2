"""Every deliberate bug is found: by clusters or disks of the stated seeds, by the stated scenario.

Seeds are tried from 0 on until the bug is found, so a run takes no longer than it must. Those that
hide longest are part of `make test-long`.
"""

from __future__ import annotations

import pytest
from lengths import cases
from mutants import MUTANTS, Mutant, mutated
from places import DOCS, SCENARIOS
from scenario_reader import replay

from quorate.testing.sim.disk_life import DiskLife
from quorate.testing.sim.life import Life
from quorate.testing.sim.plans.plan import draw
from quorate.testing.sim.verdicts.violations import ViolationError

EVERYDAY_SEEDS = 20
BY_SEEDS = [mutant for mutant in MUTANTS if mutant.seeds]
BY_DISKS = [mutant for mutant in MUTANTS if mutant.disks]


def found_in(scenario: str) -> bool:
    path = SCENARIOS / f"{scenario}.txt"
    try:
        return replay(path) != path.read_text()
    except AssertionError:
        return True


def found_by_seeds(seeds: int) -> bool:
    for seed in range(seeds):
        try:
            Life(draw(seed)).run()
        except (ViolationError, AssertionError):  # the core asserts invariants of its own
            return True
    return False


@pytest.mark.parametrize(
    "mutant",
    cases(
        [mutant for mutant in BY_SEEDS if mutant.seeds <= EVERYDAY_SEEDS],
        [mutant for mutant in BY_SEEDS if mutant.seeds > EVERYDAY_SEEDS],
    ),
    ids=lambda mutant: mutant.name,
)
def test_simulator_finds(mutant: Mutant) -> None:
    with mutated(mutant):
        assert found_by_seeds(mutant.seeds)


def found_by_disks(lives: int) -> bool:
    for seed in range(lives):
        try:
            DiskLife(seed).run()
        except ViolationError:
            return True
    return False


@pytest.mark.parametrize("mutant", BY_DISKS, ids=lambda mutant: mutant.name)
def test_lives_of_one_disk_find(mutant: Mutant) -> None:
    with mutated(mutant):
        assert found_by_disks(mutant.disks)


@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m.scenario], ids=lambda mutant: mutant.name
)
def test_scenario_finds(mutant: Mutant) -> None:
    with mutated(mutant):
        assert found_in(mutant.scenario)


def test_there_are_enough() -> None:
    assert sum(m.seeds > 0 for m in MUTANTS) >= 20
    assert all(m.seeds or m.scenario or m.disks for m in MUTANTS)


def test_the_page_names_each_with_its_number_of_seeds() -> None:
    page = (DOCS / "verification.md").read_text()
    for mutant in MUTANTS:
        if mutant.seeds:
            assert f"| {mutant.name} | {mutant.seeds} | " in page
        if mutant.disks:
            assert f"| {mutant.name} | {mutant.disks} disks | " in page
