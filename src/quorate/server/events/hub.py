"""The recent events of one server, and its readers.

Invariants: an event with an index above `floor` is in the buffer; of what may be missing a reader
is told. Indexes are those of the state, which a restore raises above those of the log. A change
costs a look-up for each pattern that it has, however many readers wait for other events; an event
is encoded once, for the first reader that gets it, and its bytes are shared.

Readers are woken a few at a time, so that a change that a thousand wait for never holds the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import islice
from typing import Final

import msgspec

from quorate.server.events.changes import (
    TOLD,
    Event,
    Outline,
    event_of,
    outline_of,
    outlined,
    outlined_bytes,
)
from quorate.state.engine.changes import Change
from quorate.state.engine.store import StateStore

EVENTS_MAX: Final = 8192
BYTES_MAX: Final = 8 << 20
"""About the memory of the events that are kept."""

BATCH_BYTES: Final = 64 * 1024
"""A reader gets about so much at a time."""

ANY: Final = "*"

_WOKEN_AT_ONCE: Final = 32
_COLLECTING_S: Final = 0.005  # what changes within it is one wake-up
_BETWEEN_S: Final = 0.008


class Why(Enum):
    """Why events may be missing."""

    FORGOTTEN = "this server remembers no events that are so old"
    SNAPSHOT = "this server took its state from a snapshot"
    SLOW = "the reader was too slow"


class Gap(msgspec.Struct, frozen=True):
    """Events with the indexes `first` to `last` may be missing."""

    first: int
    last: int
    why: Why


class Topics:
    """What a reader wants: pairs of topic and key, where `ANY` stands for all; one namespace.

    `sees`: which of them it may see; None: all.
    """

    def __init__(
        self,
        pairs: frozenset[tuple[str, str]],
        namespace: str,
        sees: Callable[[Event], bool] | None = None,
    ) -> None:
        self.pairs = pairs
        self._sees = sees
        self._namespace = namespace
        self._all = (ANY, ANY) in pairs

    def wants(self, event: Event) -> bool:
        """Whether the reader is to get it. What is in no namespace passes for every one."""
        if event.namespace and self._namespace not in {ANY, event.namespace}:
            return False
        if not (self._all or not self.pairs.isdisjoint(_patterns(event))):
            return False
        return self._sees is None or self._sees(event)


def _patterns(event: Event) -> tuple[tuple[str, str], ...]:
    topic, key = event.topic, event.key
    found: tuple[tuple[str, str], ...]
    found = ((topic, ANY), (topic, key), (ANY, key), (ANY, ANY))
    for name in event.filter_keys:
        found = (*found, (topic, name), (ANY, name))
    return found


class Entry(msgspec.Struct, gc=False):
    """The events of one log entry, of `size` bytes; of a single variable, as its outline."""

    index: int
    size: int
    outline: Outline | None = None
    count: int = 1
    made: Sequence[Event] = ()
    encoded: Sequence[bytes] = ()
    whole: bytes = b""

    @classmethod
    def of(cls, events: list[Event]) -> Entry:
        """The entry of these."""
        size = sum([event.size for event in events])
        return cls(events[0].index, size, None, len(events), events)

    @property
    def events(self) -> Sequence[Event]:
        """All of them."""
        if self.outline is not None:
            self.made, self.outline = (outlined(self.outline),), None
        return self.made

    def line(self, topics: Topics) -> bytes:
        """The JSON of those that are wanted, with a line end; empty if none is."""
        events = self.events
        wanted = [at for at, event in enumerate(events) if topics.wants(event)]
        if not wanted:
            return b""
        if not self.encoded:
            self.encoded = [event.encoded() for event in events]
            self.whole = line(self.encoded, self.index)
        if len(wanted) == len(events):
            return self.whole
        return line([self.encoded[at] for at in wanted], self.index)


def line(encoded: Sequence[bytes], index: int) -> bytes:
    """A line of the stream."""
    return b'{"Events":[%b],"Index":%d}\n' % (b",".join(encoded), index)


class Reader:
    """One reader. All up to `position` was given to it, or is not for it."""

    def __init__(self, hub: Hub, topics: Topics, index: int) -> None:
        self.topics = topics
        self.position = hub.floor if index <= 0 else index - 1
        self.woken: asyncio.Future[bool] | None = None
        self._hub = hub
        self._from_oldest = index <= 0
        self._began = self._is_ready = False

    def take(self) -> tuple[Gap | None, bytes]:
        """What may be missing before it, and the next lines: about `BATCH_BYTES`, or none."""
        hub, gap = self._hub, None
        after = hub.base if self._from_oldest else self.position
        if self.position < hub.floor:
            why = Why.SLOW if self._began else Why.FORGOTTEN
            if self.position < hub.replaced_at:
                why = Why.SNAPSHOT
            gap = Gap(self.position + 1, hub.floor, why)
            self.position, after = hub.floor, hub.base
        self._began, self._from_oldest = True, False
        lines, size = [], 0
        for entry in hub.after(after):
            self.position = entry.index
            found = entry.line(self.topics)
            if found:
                lines.append(found)
                size += len(found)
                if size >= BATCH_BYTES:
                    break
        return gap, b"".join(lines)

    async def wait(self, timeout_s: float) -> bool:
        """Wait for an event for it; False if none has come by then. Only after an empty `take`."""
        loop = asyncio.get_running_loop()
        self.woken = woken = loop.create_future()
        self._is_ready = False
        self._hub.add_waiting(self)
        timer = loop.call_later(timeout_s, _settle, woken, False)
        try:
            if await woken or self._is_ready:  # an event may come with the end of the wait
                return True
            self.position = max(self.position, self._hub.newest)  # nothing was for it
            return False
        finally:
            timer.cancel()
            self.woken = None
            self._hub.end_waiting(self)

    def wake(self, index: int) -> None:
        """An event at `index` is for it, and none between what it has and that one."""
        self._is_ready = True
        self.position = max(self.position, index - 1)


def _settle(woken: asyncio.Future[bool], value: bool) -> None:
    if not woken.done():
        woken.set_result(value)


class Hub:
    """See the module. It follows the store from now on."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.floor = self.base = self.newest = store.index
        self.replaced_at = 0
        self._entries: deque[Entry] = deque()
        self._count = self._size = 0
        self._waiting: dict[tuple[str, str], dict[Reader, None]] = {}
        self._ready: deque[Reader] = deque()
        self._readers: set[Reader] = set()
        self.unfollow = store.follow(self._changed, TOLD)

    def __len__(self) -> int:
        """How many read."""
        return len(self._readers)

    def open(self, topics: Topics, index: int) -> Reader:
        """A reader from `index` on; 0: all that is remembered. To be closed."""
        reader = Reader(self, topics, index)
        self._readers.add(reader)
        return reader

    def close(self, reader: Reader) -> None:
        """It reads no more."""
        self._readers.discard(reader)

    def after(self, position: int) -> Iterator[Entry]:
        """The entries with a higher index, in order."""
        later = 0
        for entry in reversed(self._entries):
            if entry.index <= position:
                break
            later += 1
        return islice(self._entries, len(self._entries) - later, None)

    # -- what changes ----------------------------------------------------------------------------

    def _changed(self, changes: list[Change] | None) -> None:
        if changes is None:
            self._replaced()
            return
        if len(changes) == 1 and not self._waiting:
            outline = outline_of(change := changes[0])
            if outline is not None and change.index >= self.floor:
                self._keep(Entry(change.index, outlined_bytes(outline), outline))
                return
        events = [event for each in changes if (event := event_of(self._store, each)) is not None]
        if not events:
            return
        if events[0].index < self.floor:
            # The entry that ends a restore was written below the index that it gives the state.
            events = [msgspec.structs.replace(event, index=self.floor) for event in events]
        entry = Entry.of(events)
        self._keep(entry)
        if self._waiting:
            for event in events:
                for pattern in _patterns(event):
                    for reader in tuple(self._waiting.get(pattern, ())):
                        self._made_ready(reader, entry.index)

    def _keep(self, entry: Entry) -> None:
        """The newest entry."""
        self.newest = entry.index
        self._entries.append(entry)
        self._count += entry.count
        self._size += entry.size
        if self._count > EVENTS_MAX or self._size > BYTES_MAX:
            self._forget()

    def _forget(self) -> None:
        """Let the oldest entries go, some more than must be: so it is not to be done each time."""
        while self._count > EVENTS_MAX - EVENTS_MAX // 128 or self._size > BYTES_MAX:
            oldest = self._entries.popleft()
            self._count -= oldest.count
            self._size -= oldest.size
            self.floor = self.base = oldest.index

    def _replaced(self) -> None:
        """The state came from a snapshot: what happened up to it is not known in single events.

        The entry that ends an operator's restore has the index `floor` too. What it tells itself is
        kept, and follows the gap: all above `base` is in the buffer.
        """
        self._entries.clear()
        self._count = self._size = 0
        self.floor = self.newest = self.replaced_at = self._store.index
        self.base = self.floor - 1
        for group in tuple(self._waiting.values()):
            for reader in tuple(group):
                self._made_ready(reader, 0)

    # -- who waits -------------------------------------------------------------------------------

    def add_waiting(self, reader: Reader) -> None:
        """Wake it when an event of its topics comes."""
        for pattern in reader.topics.pairs:
            self._waiting.setdefault(pattern, {})[reader] = None

    def end_waiting(self, reader: Reader) -> None:
        """It waits no more."""
        for pattern in reader.topics.pairs:
            group = self._waiting.get(pattern)
            if group is not None and group.pop(reader, ANY) is None and not group:
                del self._waiting[pattern]

    def _made_ready(self, reader: Reader, index: int) -> None:
        self.end_waiting(reader)
        reader.wake(index)
        self._ready.append(reader)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_later(_COLLECTING_S, self._wake_some)

    def _wake_some(self) -> None:
        for _ in range(min(_WOKEN_AT_ONCE, len(self._ready))):
            woken = self._ready.popleft().woken
            if woken is not None:
                _settle(woken, True)
        if self._ready:
            asyncio.get_running_loop().call_later(_BETWEEN_S, self._wake_some)
