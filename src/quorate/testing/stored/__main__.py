"""`python -m quorate.testing.stored`: play one seed of a cluster that stores, or some."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from quorate.testing.sim.__main__ import plan_of
from quorate.testing.sim.life import FailedLifeError
from quorate.testing.sim.plans.plan import Plan, Topology
from quorate.testing.sim.shrink import Shrinker
from quorate.testing.stored.backed_up import BACKUP_SITUATIONS, BackedUpLife
from quorate.testing.stored.life import SITUATIONS, StoredLife


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status: 1 if something was wrong."""
    made = argparse.ArgumentParser(
        prog="python -m quorate.testing.stored",
        description="Simulates clusters that store variables and locks, one for each seed.",
    )
    made.add_argument("--seed", type=int, default=0, help="the first seed")
    made.add_argument("--count", type=int, default=1, help="play so many seeds")
    made.add_argument("--no-shrink", action="store_true", help="tell a failure as it came")
    made.add_argument("--only", help="only these actions (numbers, or none)")
    made.add_argument("--calm", help="without these kinds of weather, these clients")
    made.add_argument("--variant", type=int, default=0, help="other chances")
    made.add_argument("--backups", action="store_true", help="leaders make backups too")
    options = made.parse_args(arguments)
    life: type[StoredLife] = StoredLife
    known: tuple[str, ...] = SITUATIONS
    if options.backups:
        life, known = BackedUpLife, BACKUP_SITUATIONS
    met: Counter[str] = Counter()
    failed = 0
    try:
        plan = plan_of(options, Topology())
    except ValueError as error:
        made.error(str(error))
    for seed in range(options.seed, options.seed + options.count):
        playing = life(plan if seed == options.seed else _of(options, seed))
        failed += not _play(playing, met, shrink=not options.no_shrink)
    for name in known:
        print(f"{met[name]:8} {name}")
    print(f"{failed} of {options.count} failed")
    return 1 if failed else 0


def _of(options: argparse.Namespace, seed: int) -> Plan:
    return plan_of(argparse.Namespace(**{**vars(options), "seed": seed}), Topology())


def _play(life: StoredLife, met: Counter[str], *, shrink: bool) -> bool:
    """Play it and tell what happened; whether all was right."""
    try:
        life.run()
    except FailedLifeError as failure:
        print(failure)
        if shrink:
            print("making it short ...", flush=True)
            print(Shrinker(failure, life=type(life)).run())
        print(f"seed {life.plan.seed} FAILED: {failure.rule}", flush=True)
        return False
    finally:
        met.update(life.met)
    return True


if __name__ == "__main__":
    sys.exit(main())
