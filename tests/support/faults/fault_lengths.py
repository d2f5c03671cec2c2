"""How long the tests here take: short ones every day, the stated ones with FAULTS_LONG=1."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")
LONG = bool(os.environ.get("FAULTS_LONG"))


def either(everyday: T, in_the_soak: T) -> T:
    """The length for this run."""
    return in_the_soak if LONG else everyday
