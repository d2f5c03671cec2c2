"""`python -m quorate.testing.sim`: play one seed, some seeds, or seeds for a while."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from random import SystemRandom

from quorate.testing.sim.life import FailedLifeError, Life
from quorate.testing.sim.plans.plan import Plan, Topology, draw, parse_only
from quorate.testing.sim.shrink import Shrinker
from quorate.testing.sim.soak import Tally, play, soak

_EXAMPLES = """\
examples:
  python -m quorate.testing.sim --seed 4711               one life, told if it fails, and shortened
  python -m quorate.testing.sim --from 0 --count 100      a hundred lives
  python -m quorate.testing.sim --seconds 600             for ten minutes, on all processors
  python -m quorate.testing.sim --count 100 --voters 5 --delay-ms 5,40     a cluster like yours
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m quorate.testing.sim",
        description="Simulates clusters on virtual time, one for each seed. Exit status 1: "
        "something was wrong.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="play this seed")
    which.add_argument("--count", type=int, help="play so many seeds")
    which.add_argument("--seconds", type=float, help="play seeds for so long")
    made.add_argument("--from", type=int, dest="first", help="the first seed (random)")
    made.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    made.add_argument("--voters", type=int, default=0, help="a cluster of so many (drawn)")
    made.add_argument("--nonvoters", type=int, default=0, help="with --voters: and of so many more")
    made.add_argument("--delay-ms", help="a network as slow as yours, from least to most: 5,40")
    made.add_argument("--no-shrink", action="store_true", help="tell a failure as it came")
    made.add_argument("--only", help="with --seed: only these actions (numbers, or none)")
    made.add_argument("--calm", help="with --seed: without these kinds of weather, these clients")
    made.add_argument("--variant", type=int, default=0, help="with --seed: other chances")
    return made


def topology_of(options: argparse.Namespace) -> Topology:
    """The cluster that is asked for. Raises ValueError."""
    delay = None
    if options.delay_ms:
        low, _, high = options.delay_ms.partition(",")
        delay = (float(low) / 1000, float(high or low) / 1000)
        if not 0 <= delay[0] <= delay[1]:
            raise ValueError(f"no range of delays: {options.delay_ms!r}")
    return Topology(options.voters, options.nonvoters, delay)


def plan_of(options: argparse.Namespace, topology: Topology) -> Plan:
    """The plan that is asked for. Raises ValueError."""
    plan = replace(draw(options.seed, topology), variant=options.variant)
    if options.only:
        plan = parse_only(options.only, plan)
    for what in options.calm.split(",") if options.calm else ():
        if what not in plan.disturbances():
            raise ValueError(f"seed {plan.seed} has no {what!r} to do without")
        plan = plan.without(what)
    return plan


def play_one(plan: Plan, *, shrink: bool) -> int:
    """Play a plan and tell what happened."""
    life = Life(plan)
    try:
        world = life.run()
    except FailedLifeError as failure:
        print(failure)
        if shrink:
            print("making it short ...", flush=True)
            shrinker = Shrinker(failure)
            short = shrinker.run()
            print(f"{short}\n({shrinker.tried} lives were tried to make this short)")
        return 1
    print(f"seed {plan.seed}: {world.events} events, trace {world.trace:08x}, nothing wrong")
    return 0


def play_many(options: argparse.Namespace, topology: Topology) -> int:
    """Play many seeds and tell what they came to; failures are told at length one by one."""
    first = SystemRandom().randrange(1 << 32) if options.first is None else options.first
    print(f"seeds from {first}", flush=True)
    if options.count is not None:
        tally = play(range(first, first + options.count), topology)
    else:
        tally = soak(first, options.seconds, options.processes, _progress, topology)
        print(tally.text())
    for seed in sorted(tally.failures)[:3]:
        play_one(draw(seed, topology), shrink=not options.no_shrink)
    print(f"{len(tally.failures)} of {tally.lives} failed")
    return 1 if tally.failures else 0


def _progress(tally: Tally) -> None:
    print(
        f"{tally.seconds:6.0f} s  {tally.lives} lives, {tally.steps} steps, "
        f"{len(tally.failures)} failed, {len(tally.never())} situations never reached",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status."""
    made = parser()
    options = made.parse_args(arguments)
    try:
        topology = topology_of(options)
        plan = plan_of(options, topology) if options.seed is not None else None
    except ValueError as error:
        made.error(str(error))
    if plan is None:
        return play_many(options, topology)
    return play_one(plan, shrink=not options.no_shrink)


if __name__ == "__main__":
    sys.exit(main())
