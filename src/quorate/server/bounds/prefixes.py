"""The largest prefixes among the variables: found in one walk in the order of the table.

A prefix ends with a slash. A walk in order meets each prefix in one piece, so it needs memory for
the prefixes that are open, and for the largest ones so far, whatever the number of variables.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from heapq import heappush, heappushpop
from typing import Final

import msgspec

from quorate.state.tables.variables import Variable, weigh

SHOWN_MAX: Final = 5
DEPTH_MAX: Final = 8
"""Slashes of a prefix; what lies deeper counts for the prefix above."""

_MOST: Final = 0.9
"""A prefix that holds this part of the one around it is named in its place."""

_AT_ONCE: Final = 64


class Prefix(msgspec.Struct, frozen=True):
    """Bytes and number of the variables whose paths begin so; empty: paths without a slash."""

    namespace: str
    prefix: str
    size: int
    count: int


class _Open:
    """A prefix that may still grow. `best` is the largest prefix within it."""

    __slots__ = ("best", "count", "name", "prefix", "size")

    def __init__(self, name: str, prefix: str) -> None:
        self.name, self.prefix = name, prefix
        self.size = self.count = 0
        self.best: Prefix | None = None


def largest(rows: Iterable[tuple[str, Variable]]) -> Generator[None, None, tuple[Prefix, ...]]:
    """The largest prefixes that do not hold each other, the largest one first.

    In steps of some dozens of rows. `rows` are in the order of the table.
    """
    survey = _Survey()
    for number, (_, row) in enumerate(rows, start=1):
        survey.add(row)
        if not number % _AT_ONCE:
            yield
    return survey.end()


class _Survey:
    def __init__(self) -> None:
        self._namespace = ""
        self._direct = _Open("", "")  # paths without a slash, of that namespace
        self._open: list[_Open] = []
        self._found: list[tuple[int, int, Prefix]] = []
        self._closed = 0

    def add(self, row: Variable) -> None:
        if row.namespace != self._namespace:
            self._next_namespace(row.namespace)
        names = row.path.split("/", DEPTH_MAX)[:-1] if "/" in row.path else []
        kept = 0
        while kept < min(len(names), len(self._open)) and self._open[kept].name == names[kept]:
            kept += 1
        self._close(kept)
        for name in names[kept:]:
            above = self._open[-1].prefix if self._open else ""
            self._open.append(_Open(name, f"{above}{name}/"))
        size = weigh(row)[1]
        for each in self._open or (self._direct,):
            each.size += size
            each.count += 1

    def end(self) -> tuple[Prefix, ...]:
        self._next_namespace("")
        return tuple(prefix for _, _, prefix in sorted(self._found, reverse=True))

    def _next_namespace(self, namespace: str) -> None:
        self._close(0)
        if self._direct.count:
            self._keep(self._closing(self._direct))
        self._namespace, self._direct = namespace, _Open("", "")

    def _close(self, kept: int) -> None:
        while len(self._open) > kept:
            closed = self._closing(self._open.pop())
            if not self._open:
                self._keep(closed)
                continue
            above = self._open[-1]
            if above.best is None or closed.size > above.best.size:
                above.best = closed

    def _closing(self, each: _Open) -> Prefix:
        best = each.best
        if best is not None and best.size >= _MOST * each.size:
            return best
        return Prefix(self._namespace, each.prefix, each.size, each.count)

    def _keep(self, prefix: Prefix) -> None:
        self._closed += 1
        entry = (prefix.size, -self._closed, prefix)
        if len(self._found) < SHOWN_MAX:
            heappush(self._found, entry)
        else:
            heappushpop(self._found, entry)
