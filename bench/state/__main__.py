"""`python -m bench.state`: the state of a server at a million records.

Prints what operations cost beside a plain dict, what a record takes in memory, the longest stops of
the event loop, and how long a restart takes, as rows of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys

from bench.state.operations import memory, operations
from bench.state.restart import restart
from bench.state.stops import stops


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.state", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["operations", "memory", "stops", "restart"])
    arguments = parser.parse_args()
    records, only = arguments.records, arguments.only
    if records < 1_000:
        parser.error("--records is at least 1000")
    if only in {None, "operations"}:
        _row("operation", "a dict, us", "the rows of a table, us", "times a dict")
        for name, (plain, rows) in operations(records).items():
            _row(name, f"{plain:,.2f}", f"{rows:,.2f}", f"{rows / plain:.3g}")
    if only in {None, "memory"}:
        found = memory(records)
        _row("of one record", "bytes")
        for name, value in found._asdict().items():
            _row(name, f"{value:.0f}")
    if only in {None, "stops"}:
        _row(
            "longest stop of the loop", "ms", "work of the loop in one turn, ms", "of a thread, ms"
        )
        for name, stop in stops(records).stops.items():
            _row(name, f"{stop.wall_ms:.1f}", f"{stop.work_ms:.1f}", f"{stop.beside_ms:.1f}")
    if only in {None, "restart"}:
        _row("restart of a server", "")
        for name, value in restart(records)._asdict().items():
            _row(name, f"{value:,.2f}")
    return 0


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
