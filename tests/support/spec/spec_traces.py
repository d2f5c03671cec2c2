"""Recorded lives, judged by TLC; and which deliberate bugs make it refuse one."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import spec_snapshot_trace
import spec_trace
from mutants import MUTANTS, mutated
from spec_recorder import Step, Trace, record
from spec_snapshots import ServerTrace, record_some_servers
from spec_tlc import Result, run

MODULE = "RecordedLives"


class Verdict(NamedTuple):
    """What TLC said; `refused` is the step that is none of the specification, if any.

    `place` says whose it is: the seed, and the server where a trace is of one.
    """

    result: Result
    refused: Any
    place: str


def judge(traces: list[Trace], limit_s: float = 100) -> Verdict:
    """Check lives against Membership. Raises what `spec_tlc.run` does."""
    text = spec_trace.module(MODULE, traces)
    result = run(MODULE, spec_trace.settings(traces), also=text, limit_s=limit_s)
    at = _end(result)
    return Verdict(result, _step(traces, at), f"seed {traces[at[0]].seed}" if at else "")


def judge_servers(traces: list[ServerTrace], limit_s: float = 100) -> Verdict:
    """Check servers against SnapshotConfiguration. Raises what `spec_tlc.run` does."""
    text = spec_snapshot_trace.module(MODULE, traces)
    settings = spec_snapshot_trace.SETTINGS + spec_snapshot_trace.INVARIANTS
    result = run(MODULE, settings, also=text, limit_s=limit_s)
    at = _end(result)
    place = f"seed {traces[at[0]].seed}, {traces[at[0]].server}" if at else ""
    return Verdict(result, _step(traces, at), place)


def refused_servers(traces: list[ServerTrace], limit_s: float = 100) -> list[Any]:
    """For each trace the first step that is none of the specification; None if all are."""
    text = spec_snapshot_trace.module(MODULE, traces)
    settings = spec_snapshot_trace.SETTINGS + spec_snapshot_trace.TOLD
    return _refused(traces, run(MODULE, settings, also=text, limit_s=limit_s))


def _refused(traces: list[Any], result: Result) -> list[Any]:
    came = [0] * len(traces)
    for trace, at in re.findall(r'<<"came to", (\d+), (\d+)>>', result.output):
        came[int(trace) - 1] = max(came[int(trace) - 1], int(at))
    return [_step(traces, (which, at - 1)) for which, at in enumerate(came)]


def _end(result: Result) -> tuple[int, int] | None:
    """Where TLC stopped: the position of the trace, and of the step in it."""
    if not result.violated:
        return None
    trace, at = (re.findall(rf"/\\ {name} = (\d+)", result.output)[-1] for name in ("trace", "at"))
    # A deadlock is before the step that is refused, a broken invariant after it.
    return int(trace) - 1, int(at) - (1 if result.violated == "deadlock" else 2)


def _step(traces: list[Any], at: tuple[int, int] | None) -> Any:
    if at is None:
        return None
    steps = traces[at[0]].steps
    return steps[at[1]] if at[1] < len(steps) else None


class Refusal(NamedTuple):
    """A deliberate bug of tests/support/mutants/mutants.py, what is refused, and where to begin.

    `seed` is the one that showed it last; changes of the code or of the simulator may move it.
    """

    mutant: str
    seed: int
    step: str


REFUSALS = [
    Refusal("votes twice in a term", 11, "vote"),
    Refusal("counts its own unsynced entries", 4, "commit"),
    Refusal("takes half for a majority", 5, "commit"),
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


def mutant_servers(name: str, first: int, count: int) -> list[ServerTrace]:
    """All servers of the first `count` lives from seed `first` on, with a bug in the code."""
    (mutant,) = [m for m in MUTANTS if m.name == name]
    with mutated(mutant):
        return record_some_servers(count, first)


__all__ = [
    "REFUSALS",
    "Step",
    "Verdict",
    "judge",
    "judge_servers",
    "mutant_servers",
    "mutant_trace",
]
