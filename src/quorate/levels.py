"""The feature levels: what a cluster may use once all of its servers know it.

A cluster has one level, kept in its replicated state. It only rises, by a command that the leader
writes when every voter and non-voter reports at least the new level. It gates command types, the
state's digest, the format of snapshots, tables and calls between servers, so that no server ever
meets what it cannot read (docs/pains.md, 19). A version knows all levels up to its own
(docs/upgrading.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

LEVEL: Final = 4
"""The highest level that this version knows."""

FIRST_VERSIONS: Final = {
    0: "0.1.0 before levels",
    1: "0.1.0 before level 2",
    2: "0.1.0 before level 3",
    3: "0.1.0 before level 4",
    4: "0.1.0",
}
"""The first version of Quorate that knows each level, for people."""

LEVEL_MAX: Final = 10_000
"""A bound for levels that come from a network: no version will ever have so many."""

T = TypeVar("T")


def form_in_force(forms: Mapping[int, T], level: int) -> T:
    """Of a thing that has another form from some levels on: its form at `level`.

    `forms` has by level what is used from that level on; there is always one of level 0.
    """
    return forms[max(first for first in forms if first <= level)]


def describe(level: int, version: str = "") -> str:
    """A level for people: "level 1 (Quorate 0.1.0)". `version` is the first that knows it."""
    known = version or FIRST_VERSIONS.get(level, "")
    return f"level {level} (Quorate {known})" if known else f"level {level}"
