"""Simulated clusters whose survivors are recovered by force: fixed and fresh seeds, and mutants."""

from __future__ import annotations

from collections import Counter
from random import SystemRandom

import pytest
from lengths import cases
from places import DOCS
from recovery_mutants import MUTANTS, Mutant, mutated

from quorate.testing.recovered.__main__ import main
from quorate.testing.recovered.life import SITUATIONS, FailedRecoveryError, RecoveredLife

FIXED_SEEDS = range(60)
FRESH_SEEDS = 4
EVERYDAY_SEEDS = 2  # mutants that hide behind more are part of `make test-long`


@pytest.mark.long
@pytest.mark.timeout(600)  # half a minute of work, on a machine that may be busy
def test_fixed_seeds_meet_all_situations() -> None:
    met: Counter[str] = Counter()
    for seed in FIXED_SEEDS:
        met.update(RecoveredLife(seed).run().met)
    assert set(met) == set(SITUATIONS)
    assert not [name for name in SITUATIONS if not met[name]]


def test_fresh_seeds() -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in range(first, first + FRESH_SEEDS):
        try:
            RecoveredLife(seed).run()
        except FailedRecoveryError as failure:
            pytest.fail(f"python -m quorate.testing.recovered --seed {seed}: {failure.rule}")


@pytest.mark.long
def test_a_seed_replays() -> None:
    lives = [RecoveredLife(4).run() for _ in range(2)]
    assert lives[0].world.trace == lives[1].world.trace
    assert lives[0].met == lives[1].met


def test_the_command_tells_what_was_met_and_a_failure_how_to_see_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with mutated(MUTANTS[0]):
        assert main(["--seed", "0"]) == 1
    told = capsys.readouterr().out
    assert told.endswith("1 of 1 failed\n")
    assert "replay: python -m quorate.testing.recovered --seed 0" in told
    assert all(name in told for name in SITUATIONS)


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
                RecoveredLife(seed).run()
            except FailedRecoveryError as failure:
                if mutant.found_as in failure.rule:
                    return
    pytest.fail(f"{mutant.name} was not found by {mutant.seeds}")


def test_there_are_enough_and_the_page_names_each() -> None:
    assert len(MUTANTS) >= 15
    page = (DOCS / "verification.md").read_text()
    for mutant in MUTANTS:
        seeds = f"{mutant.seeds.start} to {mutant.seeds.stop - 1}"
        assert f'| {mutant.name} | {seeds} | "{mutant.found_as}" |' in page, mutant.name
