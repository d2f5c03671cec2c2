"""`make faults`: real servers under faults for as long as told; prints the seed and the figures."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fault_run import run


def main() -> None:
    """Run, and print what it showed; an AssertionError ends it with the servers' logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="default 600")
    parser.add_argument("--seed", type=int, help="of a run to repeat; drawn if not given")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed} (the same order of faults again: make faults SEED={seed})", flush=True)
    with TemporaryDirectory(prefix="quorate-faults-") as folder:
        try:
            report = run(Path(folder), seed, arguments.seconds, tell=lambda t: print(t, flush=True))
        except pytest.skip.Exception as missing:
            raise SystemExit(f"cannot run here: {missing}") from None
    print(report)


if __name__ == "__main__":
    main()
