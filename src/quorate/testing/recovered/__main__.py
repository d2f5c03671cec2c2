"""`python -m quorate.testing.recovered`: play one seed of a cluster that is recovered, or some."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from quorate.testing.recovered.life import SITUATIONS, FailedRecoveryError, RecoveredLife
from quorate.testing.recovered.live import LIVE_SITUATIONS, LiveLife


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status: 1 if something was wrong."""
    made = argparse.ArgumentParser(
        prog="python -m quorate.testing.recovered",
        description="Simulates clusters whose survivors are recovered, one for each seed.",
    )
    made.add_argument("--seed", type=int, default=0, help="the first seed")
    made.add_argument("--live", action="store_true", help="recover servers that run")
    made.add_argument("--count", type=int, default=1, help="play so many seeds")
    options = made.parse_args(arguments)
    met: Counter[str] = Counter()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        life = LiveLife(seed) if options.live else RecoveredLife(seed)
        try:
            life.run()
        except FailedRecoveryError as failure:
            failed += 1
            print(failure, flush=True)
        met.update(life.met)
    for name in LIVE_SITUATIONS if options.live else SITUATIONS:
        print(f"{met[name]:8} {name}")
    print(f"{failed} of {options.count} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
