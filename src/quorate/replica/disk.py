"""The thread that makes the log durable: one write for all that is waiting.

Order is kept, so "write N is durable" implies all before it. The loop hands over `Persist`
effects and gets one report per write. A full disk is not an error but a state: the waiting
writes are tried again until there is room, and the loop is told when the state begins and ends.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from quorate.errors import StorageFull
from quorate.raft.effects import Persist
from quorate.raft.messages import Entry
from quorate.storage.free_space import free_bytes, reserve_on
from quorate.storage.log.store import LogStore, WriteBatch

_BATCH_ENTRIES_MAX = 8192
_CHECK_INTERVAL_S = 0.25
_RETRY_INTERVAL_S = 0.2
_MIB = 1 << 20


class Room(NamedTuple):
    """Bytes free on the disk, and how many must be for writes to be taken."""

    free: int = 0
    needed: int = 0

    def __str__(self) -> str:
        return f"{self.free / _MIB:.1f} MiB free, {self.needed / _MIB:.1f} MiB needed"


class Disk:
    """See the module. The callbacks run in the disk's thread: hand them over to the loop.

    `on_durable(sequence, seconds)`, `on_full(bool)`, `on_failure(exception)`. Below
    `reserve_bytes` of free space (an eighth of the file system, if that is less) the disk counts
    as full, while term and vote can still be kept; with half as much again it no longer does.
    """

    def __init__(
        self,
        store: LogStore,
        folder: Path,
        *,
        reserve_bytes: int,
        on_durable: Callable[[int, float], None],
        on_full: Callable[[bool], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._on_durable = on_durable
        self._on_full = on_full
        self._on_failure = on_failure
        self._queue: queue.SimpleQueue[Persist | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._full = False
        self._room = Room()
        self._checked_at = 0.0
        self._thread = threading.Thread(target=self._run, name="quorate-disk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def room(self) -> Room:
        """As last looked at, which is a few times a second."""
        return self._room

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
            held: Persist | None = None
            while True:
                first = held or self._next()
                if first is None:
                    return
                batch, sequence, held = self._collect(first)
                if not self._write(batch, sequence):
                    return
        except BaseException as error:  # noqa: BLE001  the loop must hear of whatever ended us
            self._on_failure(error)

    def _next(self) -> Persist | None:
        """The next write; meanwhile the free space is watched."""
        while True:
            try:
                return self._queue.get(timeout=_CHECK_INTERVAL_S)
            except queue.Empty:
                self._check_space()

    def _collect(self, first: Persist) -> tuple[WriteBatch, int, Persist | None]:
        """All that waits and may share a write; one that may not is held for the next."""
        entries: list[Entry] = list(first.entries)
        hard_state, compact_to, sequence = first.hard_state, first.compact_to, first.sequence
        held: Persist | None = None
        while len(entries) < _BATCH_ENTRIES_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # the end comes after this batch
                break
            if item.reset_to is not None or item.truncate_from is not None:
                held = item
                break
            entries.extend(item.entries)
            hard_state = item.hard_state or hard_state
            if item.compact_to is not None:
                compact_to = max(item.compact_to, compact_to or 0)
            sequence = item.sequence
        batch = WriteBatch(
            reset_to=first.reset_to,
            truncate_from=first.truncate_from,
            entries=entries,
            hard_state=hard_state,
            compact_to=compact_to,
        )
        return batch, sequence, held

    def _write(self, batch: WriteBatch, sequence: int) -> bool:
        """Write until it is durable; False if told to end before that."""
        started = time.monotonic()
        while True:
            try:
                self._store.write(batch)
            except StorageFull:
                self._look_at_room(full=True)
                self._set_full(True)
                if self._closing.wait(_RETRY_INTERVAL_S):
                    return False
            else:
                break
        self._on_durable(sequence, time.monotonic() - started)
        if time.monotonic() - self._checked_at > _CHECK_INTERVAL_S:
            self._check_space()
        return True

    def _check_space(self) -> None:
        self._checked_at = time.monotonic()
        room = self._look_at_room(full=self._full)
        self._set_full(room.free < room.needed)

    def _look_at_room(self, *, full: bool) -> Room:
        reserve = reserve_on(self._folder, self._reserve_bytes)
        # Leave the state only with some room to spare, so that it does not flutter.
        needed = reserve * 3 // 2 if full else reserve
        self._room = Room(free_bytes(self._folder), needed)
        return self._room

    def _set_full(self, full: bool) -> None:
        if full != self._full:
            self._full = full
            self._on_full(full)
