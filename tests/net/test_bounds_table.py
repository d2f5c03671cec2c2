"""docs/security.md has the bounds of what comes from the network: each row is what the code has."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from places import DOCS

SECURITY = DOCS / "security.md"


def rows() -> list[tuple[str, str]]:
    """Bound and constant of each row of the table."""
    _, _, rest = SECURITY.read_text().partition("## Bounds of what comes from the network")
    cells = [line.split("|") for line in rest.splitlines() if line.startswith("| ")]
    return [(row[2].strip(), row[3].strip(" `")) for row in cells[1:]]


def constant(path: str) -> Any:
    """The value of `package.module.NAME`, or of a field of a constant."""
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for name in parts[split:]:
            value = getattr(value, name)
        return value
    raise AssertionError(path)


@pytest.mark.parametrize(("bound", "name"), rows())
def test_each_row_is_what_the_code_has(bound: str, name: str) -> None:
    assert constant(name) == float(bound)


def test_there_are_rows() -> None:
    assert len(rows()) >= 6
