"""The specification holds in small models, bites where a rule is left out, and the code obeys it.

`make spec` checks all models and more lives; docs/verification.md has its figures.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from lengths import cases
from spec_models import MODELS, Model
from spec_recorder import record_some
from spec_snapshot_kinds import count
from spec_snapshots import record_some_servers
from spec_tlc import SPEC, NoTlcError, fetch
from spec_traces import REFUSALS, Refusal, judge, judge_servers, mutant_trace, refused_servers
from spec_wrongs import falsify

STEPS = 60
ALWAYS_SEEN = (
    "take: entries that follow on the log",
    "take: entries replaced",
    "commit",
    "begin",
    "store",
    "compact",
    "install: the log is replaced",
    "restart: snapshot and log",
    "restart: writes were lost",
)


@pytest.fixture(scope="module", autouse=True)
def _tlc() -> Path:
    try:
        return fetch()
    except NoTlcError as error:
        pytest.skip(f"TLC cannot be run: {error}")


@pytest.mark.parametrize(
    "model",
    cases(
        [m for m in MODELS if m.module == "VoteById"],
        [m for m in MODELS if m.module != "VoteById" and m.small],
    ),
    ids=lambda model: model.name,
)
def test_model(model: Model) -> None:
    result = model.check()
    assert result.violated == model.expected, result.output[-5000:]
    assert result.distinct > 1


@pytest.mark.parametrize("lives", cases([6], [60]))
def test_lives_of_the_simulator_are_behaviours_of_the_specification(lives: int) -> None:
    traces = record_some(lives, STEPS)
    told = {step.what for trace in traces for step in trace.steps}
    assert told >= {"campaign", "vote", "lead", "accept", "commit", "change", "sync", "restart"}
    verdict = judge(traces)
    assert not verdict.result.violated, f"{verdict.place}: {verdict.refused}"
    # Each step is one state: none was passed over.
    assert verdict.result.distinct == sum(len(trace.steps) + 1 for trace in traces)


@pytest.mark.parametrize("lives", cases([4], [12]))
def test_servers_of_the_simulator_are_behaviours_of_the_specification(lives: int) -> None:
    """Each server's log, snapshot and configuration, against SnapshotConfiguration."""
    traces = record_some_servers(lives)
    told = sum(map(count, traces), Counter[str]())
    assert {kind for kind in ALWAYS_SEEN if not told[kind]} == set()
    verdict = judge_servers(traces)
    assert not verdict.result.violated, f"{verdict.place}: {verdict.refused}"
    assert verdict.result.distinct == sum(len(trace.steps) + 1 for trace in traces)


@pytest.mark.long
def test_falsified_servers_are_refused_where_they_are_false() -> None:
    falsified = falsify(record_some_servers(12))
    refused = refused_servers([one.trace for one in falsified])
    places = {one.name: one.trace.steps[one.at] for one in falsified}
    assert dict(zip(places, refused, strict=True)) == places


@pytest.mark.parametrize(
    "refusal", cases(REFUSALS[:1], REFUSALS[1:]), ids=lambda refusal: refusal.mutant
)
def test_the_life_of_a_deliberate_bug_is_refused(refusal: Refusal) -> None:
    trace = mutant_trace(refusal.mutant, refusal.seed, 700)
    verdict = judge([trace])
    assert verdict.result.violated == "deadlock"
    assert verdict.refused is not None
    assert verdict.refused.what == refusal.step


def test_every_settings_file_is_checked_and_every_rule_is_left_out_once() -> None:
    assert {m.settings for m in MODELS} == {path.stem for path in SPEC.glob("*.cfg")}
    rules = {
        part.split('"')[0]
        for path in SPEC.glob("*.tla")
        for part in path.read_text().split('Rule("')[1:]
    }
    assert rules == {m.broken for m in MODELS if m.broken}
