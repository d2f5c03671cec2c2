"""Simulated lives of clusters that store variables and locks: fixed and fresh seeds."""

from __future__ import annotations

from collections import Counter
from random import SystemRandom

import pytest
from stored_mutants import BACKUP_MUTANTS, Mutant, mutated

from quorate.testing.sim.life import FailedLifeError
from quorate.testing.sim.plans.plan import draw
from quorate.testing.stored.__main__ import main
from quorate.testing.stored.backed_up import BACKUP_SITUATIONS, BackedUpLife
from quorate.testing.stored.life import SITUATIONS, StoredLife

FIXED_SEEDS = range(80)
FRESH_SEEDS = 6
RARE = {"a restore was refused at its end"}  # writes that could bring it about are refused before


@pytest.mark.long
@pytest.mark.timeout(600)  # a minute of work, on a machine that may be busy
def test_fixed_seeds_meet_all_situations() -> None:
    met: Counter[str] = Counter()
    for seed in FIXED_SEEDS:
        life = StoredLife(draw(seed))
        life.run()
        met.update(life.met)
    assert set(met) <= set(SITUATIONS)
    assert {name for name in SITUATIONS if not met[name]} <= RARE


@pytest.mark.timeout(600)
def test_fresh_seeds() -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in range(first, first + FRESH_SEEDS):
        try:
            StoredLife(draw(seed)).run()
        except FailedLifeError as failure:
            pytest.fail(f"python -m quorate.testing.stored --seed {seed}: {failure.rule}")


def test_a_seed_replays() -> None:
    lives = [StoredLife(draw(4)) for _ in range(2)]
    for life in lives:
        life.run()
    assert lives[0].world.trace == lives[1].world.trace
    assert lives[0].met == lives[1].met


def test_the_command_tells_what_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--count", "1"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("0 of 1 failed\n")
    assert all(name in told for name in SITUATIONS)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_fixed_seeds_with_backups_meet_all_situations() -> None:
    met: Counter[str] = Counter()
    for seed in range(40):
        life = BackedUpLife(draw(seed))
        life.run()
        met.update(life.met)
    assert set(met) == set(BACKUP_SITUATIONS)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_fresh_seed_with_backups() -> None:
    seed = SystemRandom().randrange(1 << 32)
    try:
        BackedUpLife(draw(seed)).run()
    except FailedLifeError as failure:
        pytest.fail(f"python -m quorate.testing.stored --backups --seed {seed}: {failure.rule}")


@pytest.mark.long
def test_the_command_tells_what_was_met_of_backups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backups", "--seed", "3", "--count", "1"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in BACKUP_SITUATIONS)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", BACKUP_MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_in_backups_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        for seed in mutant.seeds:
            try:
                BackedUpLife(draw(seed)).run()
            except FailedLifeError as failure:
                if mutant.found_as in failure.rule:
                    return
    pytest.fail(f"{mutant.name} was not found by {mutant.seeds}")
