"""The thread that makes the log durable: one write for all that is waiting.

Order is kept, so "write N is durable" implies all before it. The loop hands over `Persist`
effects and gets one report per write. A full disk is not an error but a state: the waiting
writes are tried again until there is room, and the loop is told when the state begins and ends.

Term and vote pass what waits for room: the log keeps room for them, and no election may hang on
entries that a full server cannot store. They are reported by a call of their own, because of the
writes before them nothing more is durable (`raft.events.TermPersisted`). The entries follow in
their order when there is room; the older term and vote that came with them change nothing then.

Compaction passes too: it makes the room that the entries wait for. What it drops has a snapshot, so
nothing depends on the entries before it in the order; that it is durable nobody waits to hear.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from quorate.errors import StorageFull
from quorate.raft.effects import Persist
from quorate.storage.free_space import free_bytes, reserve_on
from quorate.storage.log.store import LogStore, WriteBatch

_BATCH_ENTRIES_MAX = 8192
_CHECK_INTERVAL_S = 0.25
_RETRY_INTERVAL_S = 0.2
_MIB = 1 << 20


class Room(NamedTuple):
    """Bytes free on the disk of `folder`, and how many must be for writes to be taken.

    `whose` names the server, `reserve` is what is needed while the disk is not full; 0: it was not
    looked at as yet.
    """

    free: int = 0
    needed: int = 0
    folder: Path = Path()
    whose: str = ""
    reserve: int = 0

    def __str__(self) -> str:
        sizes = f"{self.free / _MIB:.1f} MiB free, {self.needed / _MIB:.1f} MiB needed"
        return f"{sizes} in {self.folder}" + (f" of {self.whose}" if self.whose else "")


class Disk:
    """See the module. The callbacks run in the disk's thread: hand them over to the loop.

    `on_durable(sequence, seconds)`, `on_term(sequence)`, `on_full(bool)`, `on_failure(exception)`.
    Below `reserve_bytes` of free space (an eighth of the file system, if that is less) the disk
    counts as full, while entries can still be written; with half as much again it no longer does.
    """

    def __init__(
        self,
        store: LogStore,
        folder: Path,
        *,
        reserve_bytes: int,
        whose: str = "",
        on_durable: Callable[[int, float], None],
        on_term: Callable[[int], None],
        on_full: Callable[[bool], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._whose = whose
        self._on_durable = on_durable
        self._on_term = on_term
        self._on_full = on_full
        self._on_failure = on_failure
        self._queue: queue.SimpleQueue[Persist | None] = queue.SimpleQueue()
        self._waiting: deque[Persist] = deque()  # taken from the queue, not durable
        self._ending = False  # what waits is the last
        self._closing = threading.Event()
        self._term_sequence = 0  # term and vote up to this write are durable
        self._full = False
        self._room = Room()
        self._checked_at = 0.0
        self._began: float | None = None  # when the write of this moment was
        self._thread = threading.Thread(target=self._run, name="quorate-disk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def room(self) -> Room:
        """As last looked at, which is a few times a second."""
        return self._room

    @property
    def waits_s(self) -> float:
        """For how many seconds the write of this moment has gone on; 0: none is under way."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def submit(self, persist: Persist) -> None:
        """Make this durable after all that was submitted before."""
        self._queue.put(persist)

    def close(self, timeout_s: float = 5.0) -> None:
        """Finish what is waiting (unless the disk is full or stuck) and end the thread."""
        self._queue.put(None)
        self._closing.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while True:
                if self._waiting:
                    self._take(0.0)  # what came during the last write may share the next
                while not self._waiting and not self._ending:
                    if not self._take(_CHECK_INTERVAL_S):
                        self._check_space()
                if not self._waiting or not self._write(self._shared()):
                    return
        except BaseException as error:  # noqa: BLE001  the loop must hear of whatever ended us
            self._on_failure(error)

    def _take(self, timeout_s: float) -> bool:
        """Take all that was handed over, after waiting for the first of it; False if nothing."""
        handed_over = self._queue
        if timeout_s:
            try:
                item = handed_over.get(timeout=timeout_s)
            except queue.Empty:
                return bool(self._waiting)
            self._put(item)
        while not handed_over.empty():  # nobody else takes
            self._put(handed_over.get_nowait())
        return bool(self._waiting) or self._ending

    def _put(self, item: Persist | None) -> None:
        if item is None:
            self._ending = True
        else:
            self._waiting.append(item)

    def _shared(self) -> list[Persist]:
        """The first of all that waits, and those behind it that may share its write."""
        if len(self._waiting) == 1:
            return [self._waiting[0]]
        found: list[Persist] = []
        entries = 0
        for persist in self._waiting:
            cuts = persist.reset_to is not None or persist.truncate_from is not None
            if found and (cuts or entries >= _BATCH_ENTRIES_MAX):
                break
            found.append(persist)
            entries += len(persist.entries)
        return found

    def _write(self, shared: list[Persist]) -> bool:
        """Write these until they are durable; False if told to end before that."""
        started = self._began = time.monotonic()
        batch = _batch(shared)
        while True:
            try:
                self._store.write(batch)
            except StorageFull:
                self._look_at_room(full=True)
                self._set_full(True)
                self._pass_ahead()
                if self._closing.is_set():
                    return False
                self._wait_for_room()
            else:
                break
        self._began = None
        ended = time.monotonic()
        for _ in shared:
            self._waiting.popleft()
        self._on_durable(shared[-1].sequence, ended - started)
        if ended - self._checked_at > _CHECK_INTERVAL_S:
            self._check_space()
        return True

    def _wait_for_room(self) -> None:
        """A moment, in which term and vote of what comes are written at once."""
        until = time.monotonic() + _RETRY_INTERVAL_S
        while (left := until - time.monotonic()) > 0 and not self._ending:
            if self._take(left):
                self._pass_ahead()
        self._closing.wait(max(0.0, left))

    def _pass_ahead(self) -> None:
        """Make compaction, term and vote of all that waits durable, ahead of the entries in it."""
        self._pass_compaction()
        last = self._waiting[-1].sequence
        if last <= self._term_sequence:
            return
        states = [each.hard_state for each in self._waiting if each.hard_state is not None]
        try:
            if states:
                self._store.write(WriteBatch(hard_state=states[-1]))
        except StorageFull:
            return  # even the room that is kept for them is used up
        self._term_sequence = last
        self._on_term(last)

    def _pass_compaction(self) -> None:
        """Only of entries that are durable: of others the order counts."""
        if any(each.reset_to or each.truncate_from for each in self._waiting):
            return
        below, stored = self._store.first_index(), self._store.last_index()
        wanted = [each.compact_to for each in self._waiting if each.compact_to is not None]
        wanted = [index for index in wanted if below <= index <= stored]
        if wanted:
            with suppress(StorageFull):
                self._store.write(WriteBatch(compact_to=max(wanted)))

    def _check_space(self) -> None:
        self._checked_at = time.monotonic()
        room = self._look_at_room(full=self._full)
        self._set_full(room.free < room.needed)

    def _look_at_room(self, *, full: bool) -> Room:
        reserve = reserve_on(self._folder, self._reserve_bytes)
        # Leave the state only with some room to spare, so that it does not flutter.
        needed = reserve * 3 // 2 if full else reserve
        free = free_bytes(self._folder)
        self._room = Room(free, needed, self._folder, self._whose, reserve)
        return self._room

    def _set_full(self, full: bool) -> None:
        if full != self._full:
            self._full = full
            self._on_full(full)


def _batch(shared: list[Persist]) -> WriteBatch:
    """One write for all of these, of which only the first may cut the log."""
    if len(shared) == 1:
        one = shared[0]
        return WriteBatch(
            reset_to=one.reset_to,
            truncate_from=one.truncate_from,
            entries=one.entries,
            hard_state=one.hard_state,
            compact_to=one.compact_to,
        )
    states = [each.hard_state for each in shared if each.hard_state is not None]
    compact_to = [each.compact_to for each in shared if each.compact_to is not None]
    return WriteBatch(
        reset_to=shared[0].reset_to,
        truncate_from=shared[0].truncate_from,
        entries=[entry for each in shared for entry in each.entries],
        hard_state=states[-1] if states else None,
        compact_to=max(compact_to) if compact_to else None,
    )
