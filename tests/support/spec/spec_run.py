"""`make spec`: all models and many lives, with figures. 1 if not all is as expected."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from spec_models import MODELS
from spec_recorder import record_some
from spec_snapshot_kinds import KINDS, count
from spec_snapshots import record_some_servers
from spec_tlc import NoTlcError, fetch
from spec_traces import judge, judge_servers

_BATCH = 10
_BATCH_OF_SERVERS = 60


def _models(limit_s: float) -> bool:
    good = True
    print(f"{'generated':>12} {'distinct':>10} {'depth':>5} {'seconds':>7}  model", flush=True)
    for model in MODELS:
        result = model.check(limit_s)
        fine = result.violated == model.expected
        good &= fine
        found = f"; {result.violated} is violated" if result.violated else ""
        print(
            f"{result.generated:12,} {result.distinct:10,} {result.depth:5} {result.seconds:7.1f}  "
            f"{model.name}{found}{'' if fine else '  <-- NOT AS EXPECTED'}",
            flush=True,
        )
    return good


def _lives(count: int, steps: int, first: int, limit_s: float) -> bool:
    traces = record_some(count, steps, first)
    seconds, judged = 0.0, 0
    for start in range(0, count, _BATCH):
        batch = traces[start : start + _BATCH]
        verdict = judge(batch, limit_s)
        seconds += verdict.result.seconds
        if verdict.result.violated:
            print(f"{verdict.place} is refused ({verdict.result.violated}): {verdict.refused}")
            return False
        judged += sum(len(trace.steps) for trace in batch)
    seeds = f"seeds {traces[0].seed} to {traces[-1].seed}"
    print(f"{count} lives ({seeds}), {judged:,} steps: all allowed, {seconds:.0f} s")
    return True


def _servers(lives: int, first: int, limit_s: float) -> bool:
    """The servers of so many lives against SnapshotConfiguration, and what occurred in them."""
    traces = record_some_servers(lives, first)
    seconds, states = 0.0, 0
    for start in range(0, len(traces), _BATCH_OF_SERVERS):
        verdict = judge_servers(traces[start : start + _BATCH_OF_SERVERS], limit_s)
        seconds += verdict.result.seconds
        states += verdict.result.distinct
        if verdict.result.violated:
            print(f"{verdict.place} is refused ({verdict.result.violated}): {verdict.refused}")
            return False
    steps = sum(len(trace.steps) for trace in traces)
    told = sum(map(count, traces), Counter[str]())
    print(f"{len(traces)} servers of {lives} lives, {steps:,} steps: all allowed, {seconds:.0f} s")
    for kind in KINDS:
        print(f"{told[kind]:10,}  {kind}")
    return states == steps + len(traces)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: spec_run.py --lives 200")
    parser.add_argument("--lives", type=int, default=100, help="how many lives to check")
    parser.add_argument("--steps", type=int, default=300, help="of each, at most")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument("--no-models", action="store_true", help="check lives only")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for one run of TLC")
    given = parser.parse_args()
    try:
        fetch()
    except NoTlcError as error:
        print(error, file=sys.stderr)
        return 1
    good = given.no_models or _models(given.limit)
    lived = not given.lives or _lives(given.lives, given.steps, given.first, given.limit)
    stored = not given.lives or _servers(given.lives, given.first, given.limit)
    return 0 if good and lived and stored else 1


if __name__ == "__main__":
    sys.exit(main())
