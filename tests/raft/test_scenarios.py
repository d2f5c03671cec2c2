"""Every file in `scenarios/` shows what it says (see `scenario_reader`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import SCENARIOS
from scenario_reader import replay

FILES = sorted(SCENARIOS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    now = replay(path)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(now)
    assert now == path.read_text()


def test_every_scenario_says_why_it_exists_and_shows_something() -> None:
    assert len(FILES) >= 20
    for path in FILES:
        text = path.read_text()
        assert text.startswith("# "), path.name
        assert "----" in text, path.name
