"""Puts the state of an archive in place of the cluster's (docs/snapshots.md#restore).

Nothing that is read changes before the last entry, which changes all of it or nothing
(`quorate.state.engine.restore.commands`). Until then writes to what may change are refused; if one
came in between all the same, the restore is refused.

A log that has reached its bound (`quorate.raft.roles.log_bound`) is waited for: a state may be many
times as large.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from quorate.archive.meta import ArchiveMeta
from quorate.errors import (
    ApplyTimeout,
    LeadershipLost,
    NotLeader,
    Overloaded,
    QuorateError,
    RestoreRefused,
    RestoreUnknown,
)
from quorate.net.threads import in_thread
from quorate.server.audit.acting import noted
from quorate.server.writes import Writes
from quorate.state.engine.commands import encode, type_of
from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.restore.commands import (
    BeginRestore,
    CommitRestore,
    DropRestore,
    RestoreRows,
)
from quorate.state.engine.restore.rules import Restored, TableChange, pieces_of, restored
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command, OnRestore
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import RESTORE, Note

JUMP: Final = 1 << 20
"""Above the indexes of archive and cluster: what may have been acknowledged after the archive."""

_IN_FLIGHT: Final = 4
_LOOK_S: Final = 1.0
_ROOM_S: Final = 0.05
_ROOM_LOOKS: Final = 6000  # five minutes: longer than the snapshot of a gigabyte takes
_LEAD_LOST: Final = "this server has lost the lead during the restore; nothing was changed"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore has changed, or would. `safety` is the file of the state before it."""

    meta: ArchiveMeta
    changes: tuple[TableChange, ...]
    index: int = 0
    safety: str = ""


class Machine(Protocol):
    """The state machine of a server."""

    @property
    def store(self) -> StateStore:
        """The state."""

    def readable(self) -> StateStore:
        """The same, to answer from. Raises StateDamaged."""


class Replacing:
    """Of one server, one at a time; only a leader comes to its end.

    `keep_safe` saves the state as it is, and gives the place of it; `aside` calls what takes long,
    in a thread; `make_id` gives an ID that no other restore has.
    """

    def __init__(
        self,
        machine: Machine,
        writes: Writes,
        keep_safe: Callable[[], Awaitable[str]],
        unix_ms: Callable[[], int],
        *,
        aside: Callable[..., Awaitable[Any]] = in_thread,
        make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._machine = machine
        self._writes = writes
        self._keep_safe = keep_safe
        self._unix_ms = unix_ms
        self._aside = aside
        self._make_id = make_id
        self._running = ""  # the ID of the restore under way
        tables = machine.store.registry.tables
        changing = [table for table in tables if table.on_restore is not OnRestore.KEPT]
        self._names = tuple(table.name for table in changing)
        commands = {command.TYPE for table in changing for command in table.commands}
        self._paused = commands | {InitialiseDefaults.TYPE}

    def check_free(self) -> None:
        """Raise Overloaded while a restore is under way."""
        if self._running:
            raise Overloaded("a snapshot is being restored already", "try again when that is done")

    def begin(self) -> None:
        """Reserve this server for one restore, until `end`. Raises Overloaded."""
        self.check_free()
        self._running = self._make_id()

    def end(self) -> None:
        """That one is over, whatever came of it."""
        self._writes.pause(None)
        self._running = ""

    async def preview(
        self, meta: ArchiveMeta, archive: SnapshotImage, *, keep: Collection[str] = ()
    ) -> Report:
        """What it would change now. The tables named in `keep` stay as they are."""
        live = self._machine.readable().image()
        found = await self._aside(self._merged, live, archive, self._index(live, archive), keep)
        return Report(meta=meta, changes=found.changes)

    async def carry_out(
        self,
        meta: ArchiveMeta,
        archive: SnapshotImage,
        *,
        force: bool,
        keep: Collection[str] = (),
    ) -> Report:
        """Do it. Raises RestoreRefused, RestoreUnknown, StorageFull, NotLeader, LeadershipLost."""
        store = self._machine.readable()
        restored_at = self._index(store.image(), archive)
        self._writes.pause(self._stops)
        begin = BeginRestore(id=self._running, index=restored_at, tables=self._names)
        if not await self._written(begin):
            raise RestoreRefused("the state has a higher index than was expected", "try again")
        # All that was written before is applied now, and what may change stays as it is.
        live = store.image()
        try:
            found = await self._aside(self._merged, live, archive, restored_at, keep)
            safety = await self._keep_safe()
            number = await self._sent(live, found)
            changed = tuple(c.table for c in found.changes if c.any)
            commit = CommitRestore(id=self._running, pieces=number, tables=changed)
            told = self._told(commit, meta, found, safety, force=force)
        except BaseException as error:
            with suppress(QuorateError):
                self._give_up()
            if isinstance(error, LeadershipLost | NotLeader):
                raise RestoreRefused(_LEAD_LOST, "restore the archive again") from error
            raise
        try:
            index = await self._written(told)
        except (LeadershipLost, ApplyTimeout) as error:
            raise RestoreUnknown(error.text) from error
        except NotLeader as error:
            raise RestoreRefused(_LEAD_LOST, "restore the archive again") from error
        if not index:
            raise RestoreRefused(
                "a write came in between; nothing was changed", "restore the archive again"
            )
        return Report(meta=meta, changes=found.changes, index=index, safety=safety)

    def _give_up(self) -> None:
        future = self._writes.apply(encode(DropRestore(id=self._running)))
        future.add_done_callback(_seen)

    async def _sent(self, live: SnapshotImage, found: Restored) -> int:
        """Replicate the differences in pieces; how many there were."""
        pieces = pieces_of(live, found, self._running)
        flying: deque[tuple[int, bytes, Awaitable[tuple[int, Any]]]] = deque()
        number = 0
        while (piece := await self._aside(next, pieces, None)) is not None:
            data = encode(piece)
            flying.append((number, data, self._writes.apply(data)))
            number += 1
            if len(flying) >= _IN_FLIGHT:
                await self._first_taken(flying)
        while flying:
            await self._first_taken(flying)
        return number

    async def _first_taken(
        self, flying: deque[tuple[int, bytes, Awaitable[tuple[int, Any]]]]
    ) -> None:
        """Wait for the oldest piece that is on its way; for as long as there is no room for it.

        Those behind it are sent again behind it: taken before it they have changed nothing.
        """
        number, data, answer = flying.popleft()
        try:
            taken = (await answer)[1]
        except Overloaded:
            behind = list(flying)
            flying.clear()
            for _, _, refused in behind:
                with suppress(QuorateError):
                    await refused
            taken = await self._when_there_is_room(data)
            flying.extend((n, each, self._writes.apply(each)) for n, each, _ in behind)
        except ApplyTimeout:
            # It is in the log, and is taken once followers have room for it, unless another leads.
            taken = await self._is_taken(number)
        _check_taken(taken)

    async def _when_there_is_room(self, data: bytes) -> Any:
        """The result of a command that is refused while the log is at its bound.

        Raises Overloaded if no snapshot makes room for minutes.
        """
        for _ in range(_ROOM_LOOKS):
            with suppress(Overloaded):
                return (await self._writes.apply(data))[1]
            await asyncio.sleep(_ROOM_S)
        return (await self._writes.apply(data))[1]

    async def _is_taken(self, number: int) -> bool:
        """Whether piece `number` of this restore is taken, once that is known."""
        probe = encode(RestoreRows(id=self._running, number=-1, table=self._names[0]))
        while True:
            known = restoring.current(self._machine.store)
            if known is None or known.id != self._running:
                return False
            if known.pieces > number:
                return True
            with suppress(ApplyTimeout, Overloaded):
                # Of no effect; when it is applied, so is all before it. Raises if another leads.
                await self._writes.apply(probe)
                known = restoring.current(self._machine.store)
                return known is not None and known.id == self._running and known.pieces > number
            await asyncio.sleep(_ROOM_S)

    def _told(
        self, commit: Command, meta: ArchiveMeta, found: Restored, safety: str, *, force: bool
    ) -> Command:
        changed = [c for c in found.changes if c.any]
        details = [("of cluster", meta.quorate_cluster), ("safety snapshot", Path(safety).name)]
        details += [(c.table, f"+{c.added} ~{c.changed} -{c.deleted}") for c in changed]
        note = Note(
            kind=RESTORE, what="restored", subject=meta.id, force=force, details=tuple(details)
        )
        return noted(commit, note, self._unix_ms(), self._machine.store.level)

    async def _written(self, command: Command) -> Any:
        return await self._when_there_is_room(encode(command))

    async def drop_left_over(self, may_write: Callable[[], bool]) -> None:
        """For ever: give up what another leader has begun and will not end, if this one leads."""
        while True:
            await asyncio.sleep(_LOOK_S)
            known = restoring.current(self._machine.store)
            if known is not None and known.id != self._running and may_write():
                with suppress(QuorateError):  # looked at again, here or by the next leader
                    await self._writes.apply(encode(DropRestore(id=known.id)))

    def _stops(self, command: bytes) -> bool:
        """Whether this command would change a table that is being restored."""
        return type_of(command, self._machine.store.registry) in self._paused

    def _index(self, live: SnapshotImage, archive: SnapshotImage) -> int:
        return max(live.index, archive.index) + JUMP

    def _merged(
        self, live: SnapshotImage, archive: SnapshotImage, index: int, keep: Collection[str]
    ) -> Restored:
        """In a thread."""
        return restored(live, archive, index, self._machine.store.registry, keep)


def _check_taken(taken: bool) -> None:
    if not taken:
        raise RestoreRefused(
            "another leader has given the restore up; nothing was changed",
            "restore the archive again",
        )


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
