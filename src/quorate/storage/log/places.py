"""Where the entries of a log lie: segment, place and size of each, in memory.

16 bytes an entry; filled when the log is opened and at each write. The places are continuous like
the log's indexes, so an entry is found by a subtraction; and they ascend, because files only grow.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

_SEGMENT_SHIFT = 40  # a segment is far below 2**40 bytes


class Place(NamedTuple):
    """Where the travelling form of an entry lies: bytes of bodies (`Segment.read`)."""

    segment: int
    start: int
    size: int


class LogPlaces:
    """The places of the entries `first`, `first + 1`, ..."""

    def __init__(self, first: int = 1) -> None:
        self.first = first
        self._where = array("Q")
        self._sizes = array("Q")

    def __len__(self) -> int:
        return len(self._where)

    def add(self, segment: int, start: int, size: int) -> None:
        """The place of the next entry."""
        self._where.append(segment << _SEGMENT_SHIFT | start)
        self._sizes.append(size)

    def extend(self, segment: int, starts: Sequence[int], sizes: Sequence[int]) -> None:
        """The places of the next entries, all in one segment."""
        base = segment << _SEGMENT_SHIFT
        self._where.extend([base | start for start in starts])
        self._sizes.extend(sizes)

    def run(
        self, index: int, count: int, *, gap: int, size: int
    ) -> tuple[Place, list[tuple[int, int]]]:
        """Where entry `index` and those that lie close behind it are, `count` at most.

        All of them as one place, and where in it each one begins and ends. Between two are less
        than `gap` bytes, and they take `size` bytes at most, or there is one alone.
        Raises IndexError.
        """
        at = index - self.first
        first = behind = self._where[at]
        ends: list[tuple[int, int]] = []
        places = zip(self._where[at : at + count], self._sizes[at : at + count], strict=True)
        for where, length in places:
            end = where + length
            if ends and not (behind <= where < behind + gap and end - first <= size):
                break  # also in another segment: it is far away
            ends.append((where - first, end - first))
            behind = end
        start = first & ((1 << _SEGMENT_SHIFT) - 1)
        return Place(first >> _SEGMENT_SHIFT, start, behind - first), ends

    def place(self, index: int) -> Place:
        """Raises IndexError."""
        at = index - self.first
        where = self._where[at]
        start = where & ((1 << _SEGMENT_SHIFT) - 1)
        return Place(where >> _SEGMENT_SHIFT, start, self._sizes[at])

    def first_reaching(self, segment: int, start: int) -> int | None:
        """The first entry of that segment that ends behind `start`, or None."""
        where = segment << _SEGMENT_SHIFT | start
        at = bisect_right(self._where, where) - 1
        if at < 0 or self._where[at] + self._sizes[at] <= where:
            at += 1
        inside = at < len(self._where) and self._where[at] >> _SEGMENT_SHIFT == segment
        return self.first + at if inside else None

    def truncate_from(self, index: int) -> None:
        """Forget `index` and all above; the next entry to come is `index`."""
        at = max(index - self.first, 0)
        del self._where[at:], self._sizes[at:]
        if not self._where:
            self.first = index

    def compact_to(self, index: int) -> None:
        """Forget `index` and all below."""
        gone = index + 1 - self.first
        if gone > 0:
            del self._where[:gone], self._sizes[:gone]
            self.first = index + 1

    def reset(self, index: int) -> None:
        """Forget all; the next entry to come is the one behind `index`."""
        self.first = index + 1
        del self._where[:], self._sizes[:]
