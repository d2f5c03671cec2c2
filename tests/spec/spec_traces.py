"""Lives of the simulator, judged by TLC; and which deliberate bugs make it refuse one."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import spec_trace
from spec_recorder import Step, Trace, record, record_some
from spec_tlc import ROOT, Result, run

# As pytest does for the tests that lie beside it; `make spec` runs without pytest.
sys.path.append(str(ROOT / "tests" / "raft"))
from mutants import MUTANTS, mutated

MODULE = "RecordedLives"


class Verdict(NamedTuple):
    """What TLC said; `refused` is the step that is none of the specification, if any."""

    result: Result
    refused: Step | None
    seed: int


def judge(traces: list[Trace], limit_s: float = 100) -> Verdict:
    """Check traces. Raises what `spec_tlc.run` does."""
    text = spec_trace.module(MODULE, traces)
    result = run(MODULE, spec_trace.settings(traces), also=text, limit_s=limit_s)
    if not result.violated:
        return Verdict(result, None, 0)
    trace = traces[int(re.findall(r"/\\ trace = (\d+)", result.output)[-1]) - 1]
    at = int(re.findall(r"/\\ at = (\d+)", result.output)[-1]) - 1
    return Verdict(result, trace.steps[at] if at < len(trace.steps) else None, trace.seed)


class Refusal(NamedTuple):
    """A deliberate bug of tests/raft/mutants.py, what is refused, and where to begin.

    `seed` is the one that showed it last; changes of the code or of the simulator may move it.
    """

    mutant: str
    seed: int
    step: str


REFUSALS = [
    Refusal("votes twice in a term", 2, "vote"),
    Refusal("counts its own unsynced entries", 4, "commit"),
    Refusal("takes half for a majority", 2, "commit"),
    Refusal("commits entries of older terms", 4, "commit"),
    Refusal("changes two things at once", 58, "change"),
    Refusal("changes before its first commit", 16, "change"),
]


def mutant_trace(name: str, first: int, limit: int) -> Trace:
    """The first life from seed `first` on in which a deliberate bug in the code does harm.

    That is, in which the simulator's own checks find something wrong in the end.
    """
    (mutant,) = [m for m in MUTANTS if m.name == name]
    with mutated(mutant):
        for seed in range(first, first + 100):
            trace = record(seed, limit)
            if trace is not None and trace.broken:
                return trace
    raise AssertionError(f"{name}: no harm in a hundred seeds from {first} on")


__all__ = ["REFUSALS", "Verdict", "judge", "mutant_trace", "record_some"]
