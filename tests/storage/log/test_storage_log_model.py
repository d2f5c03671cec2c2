"""The log store against a model: a list of entries, a base and a vote, with restarts between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from storage_builders import all_entries

from quorate.raft.values.messages import Entry, HardState
from quorate.storage.log.files import LogFiles
from quorate.storage.log.reading import LogReader
from quorate.storage.log.store import LogStore, WriteBatch

IN_MEMORY = Path("/dev/shm")  # what is compared here is not whether the disk syncs
sizes = st.one_of(st.integers(0, 50), st.integers(400, 9000))  # inside a frame, and beyond it


class LogStoreMachine(RuleBasedStateMachine):
    """Every rule does the same to the store and to the model; the invariant compares them."""

    def __init__(self) -> None:
        super().__init__()
        self.segment_bytes = pytest.MonkeyPatch()
        self.segment_bytes.setattr(LogFiles, "segment_bytes", 20_000)  # several files in a run
        self.folder = TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
        self.store = LogStore.open(Path(self.folder.name))
        self.base = (0, 0)
        self.log: list[Entry] = []
        self.vote = HardState()
        self.meta: bytes | None = None

    def last(self) -> tuple[int, int]:
        return (self.log[-1].index, self.log[-1].term) if self.log else self.base

    def make(self, sizes: Sequence[int], terms_later: int) -> list[Entry]:
        index, term = self.last()
        term += terms_later
        return [
            Entry(n, term, n % 6, bytes([n % 256]) * size, b"x" * (n % 2))
            for n, size in enumerate(sizes, index + 1)
        ]

    @rule(sizes=st.lists(sizes, min_size=1, max_size=12), later=st.integers(0, 2))
    def append(self, sizes: list[int], later: int) -> None:
        new = self.make(sizes, later)
        self.store.write(WriteBatch(entries=new))
        self.log += new

    @rule(back=st.integers(0, 8), sizes=st.lists(sizes, max_size=6), later=st.integers(0, 2))
    def conflict(self, back: int, sizes: list[int], later: int) -> None:
        """What a follower does: truncate, append, and store the term of the leader."""
        start = max(len(self.log) - back, 0)
        index = self.base[0] + start + 1
        del self.log[start:]
        new = self.make(sizes, later)
        vote = HardState(self.last()[1] + later, f"10.0.0.{back}:4647", later)
        self.store.write(WriteBatch(truncate_from=index, entries=new, hard_state=vote))
        # Term and vote never fall: they may have been written ahead of older entries.
        if (vote.term, vote.vote_term) >= (self.vote.term, self.vote.vote_term):
            self.vote = vote
        self.log += new

    @rule(ahead=st.integers(-1, 15), sizes=st.lists(sizes, max_size=3))
    def compact(self, ahead: int, sizes: list[int]) -> None:
        new = self.make(sizes, 0)
        index = self.base[0] + ahead
        self.store.write(WriteBatch(entries=new, compact_to=index))
        self.log += new
        gone = [e for e in self.log if e.index <= index]
        if gone:
            self.base = (gone[-1].index, gone[-1].term)
            self.log = self.log[len(gone) :]

    @rule(ahead=st.integers(0, 20), later=st.integers(0, 2))
    def reset(self, ahead: int, later: int) -> None:
        index, term = self.last()
        self.base, self.log = (index + ahead, term + later), []
        self.store.write(WriteBatch(reset_to=self.base))

    @rule(value=st.binary(max_size=20))
    def keep(self, value: bytes) -> None:
        self.meta = value
        self.store.write(WriteBatch(meta={"x": value}))

    @rule()
    def write_nothing(self) -> None:
        self.store.write(WriteBatch())

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = LogStore.open(Path(self.folder.name))

    @rule(kind=st.integers(0, 5), low=st.integers(-2, 20), count=st.integers(0, 20))
    def read_of_a_kind(self, kind: int, low: int, count: int) -> None:
        """As a program reads it that changes nothing; most entries of a kind are not looked at."""
        low += self.base[0]
        with LogReader(Path(self.folder.name)) as log:
            found = list(log.entries(low, low + count, only=kind))
            assert list(log.entries()) == self.log
        asked = range(low, low + count)
        assert found == [e for e in self.log if e.kind == kind and e.index in asked]

    @rule(offset=st.integers(-2, 20), count=st.integers(0, 10), max_bytes=st.integers(0, 20_000))
    def read(self, offset: int, count: int, max_bytes: int) -> None:
        expected: list[Entry] = []
        size = 0
        for e in self.log[offset : offset + count] if offset >= 0 else ():
            size += len(e.encoded or b"")
            if expected and size > max_bytes:
                break
            expected.append(e)
        low = self.base[0] + 1 + offset
        assert self.store.entries(low, low + count, max_bytes) == expected

    @invariant()
    def same(self) -> None:
        assert self.store.base() == self.base
        assert self.store.first_index() == (self.log[0].index if self.log else 0)
        assert self.store.last_index() == (self.log[-1].index if self.log else 0)
        assert all_entries(self.store) == self.log
        assert [self.store.term(e.index) for e in self.log] == [e.term for e in self.log]
        assert self.store.term(self.base[0]) == self.base[1]
        assert self.store.term(self.base[0] - 1) is None
        assert self.store.term(self.last()[0] + 1) is None
        assert self.store.hard_state() == self.vote
        assert self.store.meta("x") == self.meta

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()
        self.segment_bytes.undo()


TestLogStoreAgainstModel = LogStoreMachine.TestCase
TestLogStoreAgainstModel.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,  # a synced write takes as long as the disk takes
    suppress_health_check=[HealthCheck.too_slow],
)
