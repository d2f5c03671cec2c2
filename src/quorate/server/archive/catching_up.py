"""A restart must not take back what a restore has changed: the indexes of the state never fall.

A server that starts has the state of its newest snapshot, and applies the entries behind it when
it hears that they are committed. A restore that came into force in one of them has raised all
indexes by 2^20 and more, and a client that saw those would take the lower ones for another state.
So until that entry is applied, or turns out not to be committed, the state is not read here.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from quorate.errors import NotCaughtUp
from quorate.raft.log import RaftLog
from quorate.raft.values.messages import Entry, EntryKind
from quorate.replica.replica import Replica
from quorate.state.engine.commands import Wrapped, decode
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore.commands import CommitRestore

_ENTRIES: Final = 512
_BYTES: Final = 1 << 20


class CatchingUp:
    """What a server that has just started still has to apply before its state is read."""

    def __init__(self, replica: Replica[Any], registry: Registry) -> None:
        self._replica = replica
        self._registry = registry
        self._index = self._term = 0

    async def look(self) -> None:
        """Go through the log that is not applied, in slices. Call it before anybody reads."""
        node = self._replica.node
        at, end = node.applied_index + 1, node.log.last_index
        while at <= end:
            found = node.log.entries(at, end + 1, _ENTRIES, _BYTES)
            for entry in found:
                if self._restores(entry):
                    self._index, self._term = entry.index, entry.term
            at = found[-1].index + 1
            await asyncio.sleep(0)

    def check(self) -> None:
        """Raise NotCaughtUp while that is so."""
        if not self._index:
            return
        node = self._replica.node
        if node.applied_index >= self._index or _lost(node.log, self._index, self._term):
            self._index = 0
        else:
            raise NotCaughtUp(self._index)

    def _restores(self, entry: Entry) -> bool:
        data = entry.data
        if entry.kind != EntryKind.COMMAND or not data:
            return False
        if data[0] not in self._registry.wrappers:
            return data[0] == CommitRestore.TYPE
        command = decode(data, self._registry)
        return isinstance(command, Wrapped) and isinstance(command.command, CommitRestore)


def _lost(log: RaftLog, index: int, term: int) -> bool:
    """Whether the entry is not in the log any more: another leader's stands in its place."""
    return log.last_index < index or (index >= log.first_index and log.term(index) != term)
