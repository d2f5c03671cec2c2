"""The disk and the state machine of a simulated server.

The disk holds what is durable (`SimDisk` reads as a `LogReader`) and a queue of writes that are
not: a crash keeps some first part of the queue, as a real disk might, and forgets the rest.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from quorate.raft.configuration import Configuration
from quorate.raft.effects import Persist
from quorate.raft.messages import Entry, HardState


@dataclass(frozen=True)
class Snapshot:
    """A stored state: what was applied up to `index`, as a digest."""

    index: int
    term: int
    configuration: Configuration
    configuration_index: int
    digest: int


@dataclass
class SimDisk:
    """See the module."""

    hard_state: HardState = field(default_factory=HardState)
    log: list[Entry] = field(default_factory=list)
    snapshot: Snapshot | None = None  # the newest
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    queue: list[Persist] = field(default_factory=list)
    busy: bool = False
    full: bool = False
    waiting: bool = False  # for room

    # -- quorate.raft.log.LogReader --

    def first_index(self) -> int:
        return self.log[0].index if self.log else 0

    def last_index(self) -> int:
        return self.log[-1].index if self.log else 0

    def term(self, index: int) -> int | None:
        entry = self.entry(index)
        return entry.term if entry else None

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        first = self.first_index()
        assert self.log, f"asked for {low} of an empty log"
        assert first <= low < high <= self.last_index() + 1, f"{low}..{high} is not stored"
        found: list[Entry] = []
        for entry in self.log[low - first : high - first]:
            if found and max_bytes < len(entry.data):
                break
            max_bytes -= len(entry.data)
            found.append(entry)
        return found

    # -- the writing side --

    def entry(self, index: int) -> Entry | None:
        """The durable entry at `index`, or None."""
        position = index - self.first_index()
        return self.log[position] if self.log and 0 <= position < len(self.log) else None

    def holds(self, index: int, term: int) -> bool:
        """True if the entry is durable here, as entry or inside the snapshot."""
        if self.snapshot and index <= self.snapshot.index:
            return True
        return self.term(index) == term

    def write(self, persist: Persist) -> None:
        """Make one write durable."""
        if persist.reset_to:
            self.log = []
        if persist.truncate_from:
            self.log = [e for e in self.log if e.index < persist.truncate_from]
        if persist.entries:
            if self.log:
                assert persist.entries[0].index == self.last_index() + 1, "a hole in the log"
            self.log += persist.entries
        if persist.hard_state:
            self.hard_state = persist.hard_state
        if persist.compact_to:
            self.log = [e for e in self.log if e.index > persist.compact_to]

    def store_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.snapshots[snapshot.index] = snapshot
        if self.snapshot is None or snapshot.index > self.snapshot.index:
            self.snapshot = snapshot

    def crash(self, kept: int) -> None:
        """Lose the queue but for its first `kept` writes."""
        for persist in self.queue[:kept]:
            self.write(persist)
        self.queue = []
        self.busy = self.waiting = False


@dataclass
class SimMachine:
    """A state machine that only remembers how far it is and a digest of what it applied."""

    index: int = 0
    digest: int = 0

    def apply(self, entry: Entry) -> None:
        assert entry.index == self.index + 1, f"{entry.index} applied after {self.index}"
        self.index = entry.index
        text = b"%d/%d/%d/" % (entry.index, entry.term, entry.kind) + entry.data
        self.digest = zlib.crc32(text, self.digest)

    def restore(self, snapshot: Snapshot) -> None:
        self.index = snapshot.index
        self.digest = snapshot.digest
