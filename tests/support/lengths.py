"""Which cases of a test run with every change, and which in `make test-long` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def cases(everyday: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """Arguments of `pytest.mark.parametrize`; those of `more` are marked `long`."""
    return [*everyday, *(_marked(case, pytest.mark.long) for case in more)]


def huge(*case: Any) -> Any:
    """One case of gigabytes or millions: `make huge` alone runs it."""
    return _marked(case, pytest.mark.huge)


def _marked(case: Any, mark: pytest.MarkDecorator) -> Any:
    # A record that is a tuple (NamedTuple) is one argument.
    arguments = case if type(case) is tuple else (case,)
    return pytest.param(*arguments, marks=mark)
