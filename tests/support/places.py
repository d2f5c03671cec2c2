"""The folders of the repository that tests read from."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TESTS = ROOT / "tests"
SUPPORT = TESTS / "support"
SCENARIOS = TESTS / "raft" / "scenarios"
GOLDEN = TESTS / "golden"
VECTORS = TESTS / "vectors"
