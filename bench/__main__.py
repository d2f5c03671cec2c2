"""`python -m bench`: Quorate and its peers on this machine, in one run.

Writes docs/benchmarks.json, .svg and the table of .md; a run with `--only` prints its table only.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from bench import report
from bench.load import LoadFailed, load_tool
from bench.rounds import RIVALS, run, works

LISTED = 1_000_000
DOCS = Path(__file__).resolve().parent.parent / "docs"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="per load (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh clusters of each (default 3)")
    parser.add_argument("--kills", type=int, default=3, help="of leaders, per round (default 3)")
    parser.add_argument("--only", default="", help="work whose name contains this: " + _names())
    parser.add_argument(
        "--listed", type=int, default=LISTED, help=f"variables behind a list (default {LISTED})"
    )
    arguments = parser.parse_args()
    if not 100 <= arguments.listed <= LISTED or arguments.listed % 100:
        parser.error(f"--listed is a multiple of 100, at most {LISTED}")
    if min(arguments.seconds, arguments.rounds, arguments.kills) < 1:
        parser.error("--seconds, --rounds and --kills are at least 1")
    return arguments


def _names() -> str:
    return "; ".join(works())


def main() -> int:
    """Measure and report; the exit code."""
    arguments = _arguments()
    wanted = [work for work in works() if arguments.only in work]
    if not wanted:
        print(f"no work is called {arguments.only!r}; there are: {_names()}", file=sys.stderr)
        return 2
    if not arguments.only and find_spec("matplotlib") is None:
        print("the picture needs matplotlib: `make bench` installs it", file=sys.stderr)
        return 2
    versions = {rival.NAME: rival.version() for rival in RIVALS}
    present = [rival for rival in RIVALS if versions[rival.NAME] is not None]
    for name, version in versions.items():
        print(f"{name}: {version or 'not installed, left out'}")
    how = {
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "kills": arguments.kills,
        "listed": arguments.listed,
    }
    try:
        load_tool()
        about = report.host()
        samples = run(present, wanted, **how)
    except LoadFailed as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    known = {name: version for name, version in versions.items() if version is not None}
    found = report.results(samples, versions=known, about=about, **how)
    print(f"\n{report.table(found)}")
    if not arguments.only:
        from bench.picture import draw

        report.write(found, DOCS)
        draw(found, DOCS / "benchmarks.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
