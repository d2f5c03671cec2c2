"""Deliberate bugs in what a cluster stores are found by simulated lives of stated seeds."""

from __future__ import annotations

import pytest
from lengths import cases
from places import DOCS
from stored_mutants import MUTANTS, Mutant, mutated

from quorate.testing.sim.life import FailedLifeError
from quorate.testing.sim.plans.plan import draw
from quorate.testing.stored.life import StoredLife

EVERYDAY_SEEDS = 3  # mutants that hide behind more are part of `make test-long`


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "mutant",
    cases(
        [m for m in MUTANTS if m.seeds.stop <= EVERYDAY_SEEDS],
        [m for m in MUTANTS if m.seeds.stop > EVERYDAY_SEEDS],
    ),
    ids=lambda mutant: mutant.name,
)
def test_a_bug_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        for seed in mutant.seeds:
            try:
                StoredLife(draw(seed)).run()
            except FailedLifeError as failure:
                if mutant.found_as in failure.rule:
                    return
    pytest.fail(f"{mutant.name} was not found by {mutant.seeds}")


def test_there_are_enough_and_the_page_names_each() -> None:
    assert len(MUTANTS) >= 20
    page = (DOCS / "verification.md").read_text()
    for mutant in MUTANTS:
        seeds = f"{mutant.seeds.start} to {mutant.seeds.stop - 1}"
        assert f'| {mutant.name} | {seeds} | "{mutant.found_as}" |' in page, mutant.name
