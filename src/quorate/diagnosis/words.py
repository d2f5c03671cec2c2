"""Numbers and lists in the sentences of findings."""

from __future__ import annotations

from collections.abc import Iterable

NAMED_MAX = 5
"""Names of one list; the rest is counted."""


def listed(names: Iterable[str]) -> str:
    """`a, b and c`; of many the first few, and how many there are besides."""
    found = list(dict.fromkeys(names))
    if len(found) > NAMED_MAX + 1:
        more = len(found) - NAMED_MAX
        return f"{', '.join(found[:NAMED_MAX])} and {more} more"
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} and {found[-1]}"


def counted(count: int, noun: str) -> str:
    """`1 voter`, `2 voters`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def lasting(seconds: float) -> str:
    """`43 s`, `12 min`, `5 h`, `3 days`."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
