"""The node's view of its log: a tail in memory over what the storage holds.

Invariants:
1. Indexes are contiguous: `snapshot_index` < first <= ... <= `last_index`; terms never fall.
2. `snapshot_index`/`snapshot_term` name an entry whose effect a stored snapshot contains; its term
   is known although the entry itself may be gone. So is the term of the entry compacted last: a
   peer that has just installed an older snapshot can be sent what follows it.
3. Every entry above `stable_index` is in the tail; at or below it, in the tail or in the storage.
4. `stable_index` names what is durable *of this log*: a truncation lowers it at once, and a late
   report of an older write cannot raise it past what was truncated (see `stabilise`).

Pure: the storage is only read, through `LogReader`. What it holds at start may be older than the
snapshot, or contradict it, if the power went between storing a received snapshot and dropping the
log that it replaces: then the log counts as empty and `superseded` is True, so that the node
drops it for good.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Protocol

from quorate.raft.values.messages import Entry

TAIL_ENTRIES_MAX = 4096
TAIL_BYTES_MAX = 8 << 20


class LogReader(Protocol):
    """The reading side of a log store."""

    def first_index(self) -> int:
        """Index of the oldest stored entry, 0 if there is none."""

    def last_index(self) -> int:
        """Index of the newest stored entry, 0 if there is none."""

    def term(self, index: int) -> int | None:
        """Term of a stored entry, or None."""

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Stored entries low <= index < high, at least one, about `max_bytes` at most."""

    def size_bytes(self) -> int:
        """The bytes of the files that hold the log."""

    def excess(self, bytes_max: int) -> int:
        """The index up to which entries must go so that the other files take that many bytes."""

    def freed_by(self, index: int) -> int:
        """The bytes of the files that go when entries up to `index` are compacted."""


class RaftLog:
    """See the module."""

    def __init__(self, reader: LogReader, snapshot_index: int = 0, snapshot_term: int = 0) -> None:
        self._reader = reader
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        first, stored = reader.first_index(), reader.last_index()
        if first > snapshot_index + 1:
            raise ValueError(f"the log begins at {first}, the snapshot ends at {snapshot_index}")
        inside = first <= snapshot_index <= stored
        self.superseded = bool(first) and (
            stored < snapshot_index or (inside and reader.term(snapshot_index) != snapshot_term)
        )
        self.last_index = snapshot_index if self.superseded else max(stored, snapshot_index)
        self.stable_index = self.last_index
        self._compacted = (0, 0)  # index and term of the entry compacted last
        # The lowest index whose entry can be read; last_index + 1 when there is none.
        self.first_index = first if first and not self.superseded else self.last_index + 1
        self._tail: deque[Entry] = deque()
        self._tail_bytes = 0
        self._newest: tuple[Entry, ...] = ()  # the batch appended last, if it is still whole
        self._newest_bytes = 0
        # (sequence, last index, bytes appended by then) of writes under way, oldest first.
        self._writes: deque[tuple[int, int, int]] = deque()
        self._appended_bytes = self._durable_bytes = 0  # since the start
        self.last_term = self.term(self.last_index) or 0

    def term(self, index: int) -> int | None:
        """Term of the entry at `index`; 0 at index 0; None if it is not known here."""
        if index == self.snapshot_index:
            return self.snapshot_term
        if index > self.last_index or index < self.first_index:
            if index == self._compacted[0]:
                return self._compacted[1]
            return 0 if index == 0 else None
        tail = self._tail
        if tail and index >= tail[0].index:
            return tail[index - tail[0].index].term
        return self._reader.term(index)

    def entries(self, low: int, high: int, max_entries: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries low <= index < high: at least one if low < high, within both limits."""
        high = min(high, self.last_index + 1, low + max_entries)
        if low >= high:
            return ()
        if low < self.first_index:
            raise AssertionError(f"entry {low} was compacted away (first is {self.first_index})")
        newest = self._newest
        whole = newest and newest[0].index == low and newest[-1].index == high - 1
        if whole and self._newest_bytes <= max_bytes:
            return newest  # the usual case: every peer is sent the batch just appended
        tail = self._tail
        tail_first = tail[0].index if tail else self.last_index + 1
        if low < tail_first:
            return tuple(self._reader.entries(low, min(high, tail_first), max_bytes))
        return self._from_tail(low - tail_first, high - tail_first, max_bytes)

    def _from_tail(self, start: int, stop: int, max_bytes: int) -> tuple[Entry, ...]:
        picked: list[Entry] = []
        size = 0
        tail = self._tail
        for position in range(start, stop):
            entry = tail[position]
            size += len(entry.data)
            if picked and size > max_bytes:
                break
            picked.append(entry)
        return tuple(picked)

    def size_bytes(self) -> int:
        """The bytes of the files, with those that the entries not written yet may take.

        A file may hold room for another record as large as its last.
        """
        return self._reader.size_bytes() + 2 * (self._appended_bytes - self._durable_bytes)

    def waiting_bytes(self) -> int:
        """The bytes of the entries that are not known to be durable."""
        return self._appended_bytes - self._durable_bytes

    def excess(self, bytes_max: int) -> int:
        """Up to where it must go so that the other files take that many bytes; 0: nowhere."""
        return self._reader.excess(bytes_max)

    def freed_by(self, index: int) -> int:
        """The bytes of files that go with entries up to `index`, and have not gone yet."""
        return self._reader.freed_by(index)

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Add entries at the end. Their indexes must follow on `last_index`."""
        first, last = entries[0], entries[-1]
        assert first.index == self.last_index + 1, "log must stay contiguous"
        assert last.index == self.last_index + len(entries), "log must stay contiguous"
        assert self.last_term <= first.term <= last.term, "terms must not fall"
        self._tail.extend(entries)
        self._newest = entries
        self._newest_bytes = sum([len(entry.data) for entry in entries])
        self._tail_bytes += self._newest_bytes
        self._appended_bytes += self._newest_bytes
        self.last_index = last.index
        self.last_term = last.term

    def truncate_from(self, index: int) -> None:
        """Remove `index` and all above."""
        assert self.snapshot_index < index <= self.last_index, "a snapshot's entries stay"
        tail = self._tail
        self._newest = ()
        while tail and tail[-1].index >= index:
            self._tail_bytes -= len(tail.pop().data)
        self.last_index = index - 1
        self.last_term = self.term(self.last_index) or 0
        self.stable_index = min(self.stable_index, self.last_index)
        self._writes = deque(
            (seq, min(last, self.last_index), appended) for seq, last, appended in self._writes
        )

    def reset_to(self, index: int, term: int) -> None:
        """Drop everything: a snapshot at (index, term) takes its place."""
        self._tail.clear()
        self._newest = ()
        self._tail_bytes = 0
        self._writes.clear()
        self._durable_bytes = self._appended_bytes
        self.snapshot_index, self.snapshot_term = index, term
        self.last_index = self.stable_index = index
        self.last_term = term
        self.first_index = index + 1

    def compact_to(self, index: int) -> None:
        """Forget `index` and all below."""
        assert index <= self.last_index, "the newest entry's term must be known"
        tail = self._tail
        self._compacted = (index, self.term(index) or 0)
        while tail and tail[0].index <= index:
            self._tail_bytes -= len(tail.popleft().data)
        self.first_index = max(self.first_index, index + 1)

    def writing(self, sequence: int) -> None:
        """Remember that the write `sequence` carries the log up to its present end."""
        assert not self._writes or self._writes[-1][0] < sequence, "writes are numbered in order"
        self._writes.append((sequence, self.last_index, self._appended_bytes))

    def stabilise(self, sequence: int) -> None:
        """The writes up to `sequence` are durable."""
        writes = self._writes
        while writes and writes[0][0] <= sequence:
            _, last, self._durable_bytes = writes.popleft()
            self.stable_index = max(self.stable_index, last)
        # A leader counts itself by it: past the end it would commit entries that nobody has.
        assert self.stable_index <= self.last_index, "only what is in the log is durable"
        self._shrink_tail()

    def _shrink_tail(self) -> None:
        tail = self._tail
        while len(tail) > TAIL_ENTRIES_MAX or self._tail_bytes > TAIL_BYTES_MAX:
            if tail[0].index > self.stable_index:
                return
            self._tail_bytes -= len(tail.popleft().data)

    def up_to_date(self, last_index: int, last_term: int) -> bool:
        """True if a candidate's log is not behind this one (Raft 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def last_index_with_term_up_to(self, index: int, term: int) -> int:
        """The highest known index below `index` whose term is at most `term` (or 0).

        What a follower may tell a leader after a conflict: nothing above it can match, because
        the leader's entries up to there have terms of at most `term`. Terms never fall, so it is
        found by halving.
        """
        low = max(self.snapshot_index, self.first_index - 1)
        high = max(min(index - 1, self.last_index), low)
        return low + bisect_right(range(low + 1, high + 1), term, key=self._known_term)

    def _known_term(self, index: int) -> int:
        return self.term(index) or 0
