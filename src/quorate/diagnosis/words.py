"""Numbers, lists and commands in the sentences of findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


def command(text: str) -> str:
    """A command within a next step: it is shown whole, on a line of its own."""
    return f"`{text}`"


def quoted(word: str) -> str:
    """A word of a command as a shell takes it."""
    if word and all(char.isalnum() or char in "@%+=:,./-_[]" for char in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def in_parts(step: str) -> Iterator[tuple[str, str]]:
    """The prose of a next step, each part with the command that follows it, or with none."""
    parts = step.split("`")
    for at in range(0, len(parts), 2):
        prose = parts[at].strip() if at == 0 else parts[at].lstrip(" ;,.").strip()
        found = parts[at + 1] if at + 1 < len(parts) else ""
        if prose or found:
            yield prose, found


def without_marks(step: str) -> str:
    """A next step as one sentence."""
    return step.replace("`", "")
