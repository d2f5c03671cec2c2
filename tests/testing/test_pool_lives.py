"""Simulated pools of whole servers: fixed and fresh seeds, and deliberate bugs that they find."""

from __future__ import annotations

from collections import Counter
from random import SystemRandom

import pytest
from lengths import cases
from pool_mutants import MUTANTS, Mutant, mutated

from quorate.testing.pools.__main__ import main
from quorate.testing.pools.life import PoolLife
from quorate.testing.pools.rules import SITUATIONS
from quorate.testing.sim.verdicts.violations import ViolationError

FIXED_SEEDS = range(20)
FRESH_SEEDS = 5
EVERYDAY_SEEDS = 20  # mutants that hide behind more are part of `make test-long`


@pytest.mark.long
@pytest.mark.timeout(600)  # half a minute of work, on a machine that may be busy
def test_fixed_seeds_meet_all_situations() -> None:
    met: Counter[str] = Counter()
    for seed in FIXED_SEEDS:
        met.update(PoolLife(seed).run().rules.met)
    assert set(met) <= set(SITUATIONS)
    assert {name for name in SITUATIONS if not met[name]} <= RARE


RARE = {
    "the mark of a removal that was not made was taken back",
    "a newcomer made a member move",
    "a dead member was removed as the leader had advised",
    "a member that had left was removed",
    "a server left by itself",
}


@pytest.mark.timeout(600)
def test_fresh_seeds() -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in range(first, first + FRESH_SEEDS):
        try:
            PoolLife(seed).run()
        except ViolationError as error:
            pytest.fail(f"python -m quorate.testing.pools --seed {seed}: {error}")


@pytest.mark.parametrize(
    "seed",
    [
        # Two servers are put back to old images at one time: a majority must be left.
        83,
        # One is put back to before it had data, and then a newcomer leads that has not met it.
        2628770652,
    ],
)
def test_lives_that_have_failed(seed: int) -> None:
    PoolLife(seed).run()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "mutant",
    cases(
        [m for m in MUTANTS if len(m.seeds) <= EVERYDAY_SEEDS],
        [m for m in MUTANTS if len(m.seeds) > EVERYDAY_SEEDS],
    ),
    ids=lambda mutant: mutant.name,
)
def test_a_bug_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        for seed in mutant.seeds:
            try:
                PoolLife(seed).run()
            except ViolationError as error:
                if mutant.found_as in str(error):
                    return
    pytest.fail(f"{mutant.name} was not found by {mutant.seeds}")


def test_a_seed_replays() -> None:
    lives = [PoolLife(7) for _ in range(2)]
    for life in lives:
        life.run()
    assert lives[0].story() == lives[1].story()
    assert lives[0].world.trace == lives[1].world.trace


def test_the_command_tells_what_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--count", "1"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("0 of 1 failed\n")
    assert all(name in told for name in SITUATIONS)
