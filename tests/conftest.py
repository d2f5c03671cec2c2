"""Options of the whole suite: `--rewrite` writes down what scenarios show; read the difference."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="rewrite the answers of scenarios")
