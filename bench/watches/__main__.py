"""`python -m bench.watches`: 10,000 watches wait, and single ones are woken beside writes.

Prints what a watch takes in the leader's memory, and the time from the send of a write until the
watch of its key had the answer, as a row of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys

from bench.load import LoadFailed
from bench.watches.waiting import measured


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.watches", description=__doc__)
    parser.add_argument("--watches", type=int, default=10_000, help="that wait (default 10000)")
    parser.add_argument("--wakes", type=int, default=200, help="of them (default 200)")
    parser.add_argument("--rate", type=float, default=5000, help="other writes/s (default 5000)")
    arguments = parser.parse_args()
    if not (0 < arguments.wakes <= arguments.watches and arguments.rate > 0):
        parser.error("--wakes is at least 1 and at most --watches, and --rate is above 0")
    try:
        found = measured(arguments.watches, arguments.wakes, arguments.rate)
    except LoadFailed as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    print(f"| {' | '.join(name.replace('_', ' ') for name in found._fields)} |")
    print(f"|{'---|' * len(found)}")
    print(f"| {' | '.join(f'{value:,.2f}' for value in found)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
