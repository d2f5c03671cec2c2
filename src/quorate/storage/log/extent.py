"""Which indexes a log holds, and of which terms, without looking at the disk.

Invariant: the log is contiguous from `base_index + 1` to `last_index`, and terms never fall from
one entry to the next (Raft 5.3, Log Matching). The base is the last entry that is gone, by
compaction or because a snapshot replaced the log; (0, 0) if none is.

Terms are kept as runs, because a log of any length has only as many runs as it saw leaders.
An extent is a value: the thread that writes makes a new one and publishes it by one assignment,
so the thread that reads never meets a half-changed one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

import msgspec

from quorate.raft.values.messages import Entry

_start_of_run = itemgetter(0)


class LogExtent(msgspec.Struct, frozen=True):
    """See the module. `runs` are (first index, term), ascending; none if the log is empty."""

    base_index: int = 0
    base_term: int = 0
    last_index: int = 0  # equals base_index if the log is empty
    runs: tuple[tuple[int, int], ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if the log holds no entry."""
        return self.last_index == self.base_index

    @property
    def last_term(self) -> int:
        """Term of the last entry, or of the base if there is none."""
        return self.runs[-1][1] if self.runs else self.base_term

    def __contains__(self, index: int) -> bool:
        return self.base_index < index <= self.last_index

    def term(self, index: int) -> int | None:
        """Term of the entry at `index`, also of the base; None for any other index."""
        if not self.base_index < index <= self.last_index:
            return self.base_term if index == self.base_index else None
        if index >= self.runs[-1][0]:
            return self.runs[-1][1]
        return self.runs[bisect_right(self.runs, index, key=_start_of_run) - 1][1]

    def extended(self, entries: Sequence[Entry]) -> LogExtent:
        """With `entries` at the end. They must continue the log (AssertionError)."""
        runs, term = self.runs, self.last_term
        for index, entry in enumerate(entries, self.last_index + 1):
            assert entry.index == index, f"entry {entry.index} where {index} belongs"
            if entry.term != term or not runs:
                assert entry.term >= term, f"term {entry.term} at {index} after term {term}"
                term = entry.term
                runs = (*runs, (index, term))
        last_index = self.last_index + len(entries)
        return LogExtent(self.base_index, self.base_term, last_index, runs)

    def truncated_from(self, index: int) -> LogExtent:
        """Without the entries at `index` and above. What is compacted cannot be truncated."""
        assert index > self.base_index, f"truncate from {index}, compacted to {self.base_index}"
        if index > self.last_index:
            return self
        runs = tuple(run for run in self.runs if run[0] < index)
        return LogExtent(self.base_index, self.base_term, index - 1, runs)

    def compacted_to(self, index: int) -> LogExtent:
        """Without the entries at `index` and below; at most the whole log."""
        index = min(index, self.last_index)
        if index <= self.base_index:
            return self
        base_term = self.term(index)
        assert base_term is not None, index
        cut = bisect_right(self.runs, index + 1, key=_start_of_run)
        runs = ((index + 1, self.runs[cut - 1][1]), *self.runs[cut:])
        if index == self.last_index:
            runs = ()
        return LogExtent(index, base_term, self.last_index, runs)
