"""Names with `*` for any characters, and which of several fits a name best.

The rule that applies is the one with the exact name; else, of the patterns that fit, the one with
the most characters besides `*`. Of two that are equal in this, the first in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

Rule = TypeVar("Rule")
_STAR: Final = "*"


def fits(pattern: str, name: str) -> bool:
    """Whether the pattern stands for this name. No backtracking: each piece is looked for once."""
    first, *others = pattern.split(_STAR)
    if not others:
        return pattern == name
    last = others.pop()
    end = len(name) - len(last)
    if end < len(first) or not name.startswith(first) or not name.endswith(last):
        return False
    position = len(first)
    for piece in others:
        found = name.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


class Nearest(Generic[Rule]):
    """Rules by pattern, of which one applies to a name."""

    __slots__ = ("_exact", "_patterns")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._exact = {name: rule for name, rule in rules.items() if _STAR not in name}
        patterns = sorted(name for name in rules if _STAR in name)
        # Sorting keeps the alphabet among equals.
        patterns.sort(key=lambda each: each.count(_STAR) - len(each))
        self._patterns = tuple(
            (each, start := each.partition(_STAR)[0], each == start + _STAR, rules[each])
            for each in patterns
        )

    def of(self, name: str) -> Rule | None:
        """The rule that applies, None if none does."""
        if (exact := self._exact.get(name)) is not None:
            return exact
        for pattern, start, is_start, rule in self._patterns:
            # Nearly all patterns are a start and a star.
            if name.startswith(start) and (is_start or fits(pattern, name)):
                return rule
        return None

    def below(self, start: str) -> tuple[tuple[Rule, ...], bool]:
        """The rules that may apply to names that begin so, and whether each name has one.

        Of a pattern only what stands before its first `*` is compared, so there may be too many.
        """
        found = [rule for name, rule in self._exact.items() if name.startswith(start)]
        whole = False
        for pattern, head, _, rule in self._patterns:
            if head.startswith(start) or start.startswith(head):
                found.append(rule)
                whole = whole or (pattern.endswith(_STAR) and fits(pattern, start))
        return tuple(found), whole

    def all_rules(self) -> tuple[Rule, ...]:
        """Every rule, in no order that means anything."""
        return (*self._exact.values(), *(rule for *_, rule in self._patterns))
