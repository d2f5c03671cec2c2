"""Writes the records of the journal to a sink, as they are entered (docs/audit.md)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from quorate.audit.chain import Link
from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.server.audit.sink import ENTERED, Sink
from quorate.server.audit.view import record_of
from quorate.server.machine import ServerMachine
from quorate.state.engine.store import StateStore
from quorate.state.tables import journal
from quorate.state.tables.journal import LANES

_RETRY_S: Final = 5.0
_AT_ONCE: Final = 64
_PLACE: Final = re.compile(rb'"lane":"(\w{1,16})","number":(\d{1,15}),', re.IGNORECASE)
_STAGE: Final = f'"{ENTERED}"'.encode()


class Following:
    """Of one server. What the file holds by its last bytes is not written again.

    After a start, and after the server was down, the records that are still kept are written. So
    the file has gaps only where retention came first.
    """

    def __init__(self, machine: ServerMachine, sink: Sink) -> None:
        self._machine = machine
        self._sink = sink
        self._next: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        self._next = known_places(await in_thread(self._sink.tail))
        self._machine.store.watch(journal.STATE.name, self._changed.set)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while await self._write_some():
                    pass
            except QuorateError:
                await asyncio.sleep(_RETRY_S)
                self._changed.set()

    async def _write_some(self) -> bool:
        """Write some records; whether there were any."""
        state = self._machine.readable()
        found = [each for which in range(len(LANES)) for each in self._due(state, which)]
        head = journal.head(state)
        for before, link, made in found:
            await self._sink.entered(record_of(link, made), before, head)
            self._next[link.lane] = link.number + 1
        return bool(found)

    def _due(self, state: StateStore, which: int) -> Sequence[tuple[bytes, Link, bytes]]:
        """Chained records of a lane that were not written, with the hash before each."""
        lanes = journal.state(state).lanes
        if which >= len(lanes) or lanes[which].since is None:
            return ()
        lane = lanes[which]
        assert lane.since is not None
        start = max(self._next.get(LANES[which], 0), lane.since, lane.first)
        before, found = lane.base, []
        for link, made in journal.links(state, which, start - 1):
            if link.number >= start:
                found.append((before, link, made))
            before = made or lane.base
            if len(found) == _AT_ONCE:
                break
        return found


def known_places(tail: bytes) -> dict[str, int]:
    """By lane: the number behind the last record in these lines of a file."""
    places: dict[str, int] = {}
    for line in tail.splitlines():
        if _STAGE in line and (found := _PLACE.search(line)) is not None:
            lane, number = found[1].decode(), int(found[2])
            if lane in LANES:
                places[lane] = number + 1
    return places
