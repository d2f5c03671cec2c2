"""Whole clusters on virtual time: nothing may ever be wrong, and after the faults all must recover.

A failure names its seed and how to play it again (see `simulate`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from mutants import MUTANTS, mutated
from sim_checks import ViolationError
from sim_hosts import Host
from simulate import Life

from quorate.raft import effects as fx

FIXED_SEEDS = range(60)
FRESH_SEEDS = 5
SIMULATE = Path(__file__).with_name("simulate.py")


@pytest.mark.parametrize("seed", FIXED_SEEDS)
def test_sim(seed: int) -> None:
    Life(seed).run()


@pytest.mark.parametrize("number", range(FRESH_SEEDS))
def test_sim_with_a_fresh_seed(number: int) -> None:
    Life(SystemRandom().randrange(1 << 32)).run()


def test_the_seeds_meet_what_they_are_meant_to_meet() -> None:
    met: Counter[str] = Counter()

    def watch(host: Host, event: Any, effects: list[Any]) -> None:
        del event
        leaders = [h for h in life.world.running() if h.live.leader]
        met["two leaders"] += len(leaders) > 1
        then = [e for p in effects if isinstance(p, fx.Persist) for e in p.then]
        for effect in [*effects, *then]:
            met[type(effect).__name__] += 1
            if isinstance(effect, fx.Persist):
                met["truncation"] += effect.truncate_from is not None
                met["compaction"] += effect.compact_to is not None
            if isinstance(effect, fx.Rejected):
                met[effect.reason.name] += len(effect.handles)

    for seed in range(12, 27):
        life = Life(seed)
        life.world.watch = watch
        life.run()
    wanted = [
        *("two leaders", "truncation", "compaction", "RestoreSnapshot", "ReadReady", "Done"),
        *("LEADERSHIP_LOST", "STORAGE_FULL", "CHANGE_PENDING", "NOT_READY", "TRANSFER_TIMED_OUT"),
    ]
    assert [name for name in wanted if not met[name]] == []


def test_a_seed_replays_whatever_the_hashes_are() -> None:
    def run(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, str(SIMULATE), "11"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    first = run("1")
    assert "trace" in first
    assert first == run("2")


def test_a_failure_tells_its_story_and_how_to_replay_it() -> None:
    bug = next(m for m in MUTANTS if m.name == "answers before the disk")
    with mutated(bug), pytest.raises(ViolationError) as caught:
        Life(0).run()
    text = str(caught.value)
    assert "seed 0, event " in text
    assert "replay: python tests/raft/simulate.py 0" in text
    assert "persist 1:" in text
