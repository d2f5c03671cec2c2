"""The specification holds in small models, bites where a rule is left out, and the code obeys it.

`make spec` checks all models and more lives; docs/verification.md has its figures.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_models import MODELS, Model
from spec_tlc import SPEC, NoTlcError, fetch
from spec_traces import REFUSALS, Refusal, judge, mutant_trace, record_some

LIVES = 24
STEPS = 60


@pytest.fixture(scope="module", autouse=True)
def _tlc() -> Path:
    try:
        return fetch()
    except NoTlcError as error:
        pytest.skip(f"TLC cannot be run: {error}")


@pytest.mark.parametrize("model", [m for m in MODELS if m.everyday], ids=lambda model: model.name)
def test_model(model: Model) -> None:
    result = model.check()
    assert result.violated == model.expected, result.output[-5000:]
    assert result.distinct > 1


def test_lives_of_the_simulator_are_behaviours_of_the_specification() -> None:
    traces = record_some(LIVES, STEPS)
    told = {step.what for trace in traces for step in trace.steps}
    assert told >= {"campaign", "vote", "lead", "accept", "commit", "change", "sync", "restart"}
    verdict = judge(traces)
    assert not verdict.result.violated, f"seed {verdict.seed}: {verdict.refused}"
    # Each step is one state: none was passed over.
    assert verdict.result.distinct == sum(len(trace.steps) + 1 for trace in traces)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.mutant)
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
