"""Single simulated disks: torn writes, crashes, flipped bits; fixed and fresh seeds."""

from __future__ import annotations

from random import SystemRandom

import pytest

from quorate.testing.sim.disk_life import DiskLife
from quorate.testing.sim.verdicts.violations import ViolationError

FIXED_SEEDS = 100
FRESH_SEEDS = 50


def test_every_start_finds_what_was_durable_and_nothing_else() -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in (*range(FIXED_SEEDS), *range(first, first + FRESH_SEEDS)):
        try:
            DiskLife(seed).run()
        except ViolationError as error:
            pytest.fail(f"DiskLife({seed}).run(): {error}")


def test_a_life_is_the_same_whenever_it_is_played() -> None:
    lives = [DiskLife(7), DiskLife(7)]
    for life in lives:
        life.run()
    assert lives[0].disk.log == lives[1].disk.log
    assert lives[0].disk.log
