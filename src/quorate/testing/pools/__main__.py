"""`python -m quorate.testing.pools`: play one seed of a pool, or some."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from quorate.testing.pools.life import PoolLife
from quorate.testing.pools.rules import SITUATIONS
from quorate.testing.sim.verdicts.violations import ViolationError


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status: 1 if something was wrong."""
    made = argparse.ArgumentParser(
        prog="python -m quorate.testing.pools",
        description="Simulates pools of whole servers on virtual time, one for each seed.",
    )
    made.add_argument("--seed", type=int, default=0, help="the first seed")
    made.add_argument("--count", type=int, default=1, help="play so many seeds")
    options = made.parse_args(arguments)
    met: Counter[str] = Counter()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        life = PoolLife(seed)
        try:
            life.run()
        except ViolationError as error:
            failed += 1
            print(f"{life.story()}\nseed {seed} FAILED: {error}")
        met.update(life.servers.rules.met)
    for name in SITUATIONS:
        print(f"{met[name]:8} {name}")
    print(f"{failed} of {options.count} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
