"""Restores an archive into the running cluster (docs/snapshots.md#restore). On the leader alone.

Nothing that is read changes before the last entry, which changes all of it or nothing
(`quorate.state.engine.restoring`). Until then writes to what may change are refused; if one came in
between all the same, the restore is refused.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.archive.contents import StateFacts
from quorate.archive.meta import STATE_BYTES_MAX, ArchiveError, ArchiveMeta
from quorate.archive.reading import read_archive
from quorate.errors import Overloaded, QuorateError, RestoreRefused
from quorate.net.threads import in_thread
from quorate.server.archive.safety import keep_safe
from quorate.server.archive.saving import Saves
from quorate.server.archive.spool import Spool
from quorate.server.machine import ServerMachine
from quorate.server.writes import Writes
from quorate.state.engine import restoring
from quorate.state.engine.commands import encode, type_of
from quorate.state.engine.restore import Restored, TableChange, pieces_of, restored
from quorate.state.engine.restoring import (
    BeginRestore,
    CommitRestore,
    DropRestore,
)
from quorate.state.engine.snapshot import SnapshotError, SnapshotImage, decode_snapshot
from quorate.state.engine.table import Command, OnRestore
from quorate.state.tables import cluster
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import OPERATOR, RESTORE, Note, Noted

JUMP: Final = 1 << 20
"""Above the indexes of archive and cluster: what may have been acknowledged after the archive."""

_IN_FLIGHT: Final = 4
_WRITE_BYTES: Final = 1 << 20
_LOOK_S: Final = 1.0
_FAILED: Final = "failed to restore from snapshot: "


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore has changed, or would. `safety` is the file of the state before it."""

    meta: ArchiveMeta
    changes: tuple[TableChange, ...]
    index: int = 0
    safety: str = ""


class Restores:
    """The restores of one server, one at a time. `folder` is on its disk."""

    def __init__(
        self,
        machine: ServerMachine,
        writes: Writes,
        saves: Saves,
        folder: Path,
        unix_ms: Callable[[], int],
    ) -> None:
        self._machine = machine
        self._writes = writes
        self._saves = saves
        self._folder = folder
        self._unix_ms = unix_ms
        self._running = ""  # the ID of the restore under way
        tables = machine.store.registry.tables
        changing = [table for table in tables if table.on_restore is not OnRestore.KEPT]
        self._names = tuple(table.name for table in changing)
        commands = {command.TYPE for table in changing for command in table.commands}
        self._paused = commands | {InitialiseDefaults.TYPE}

    async def restore(
        self, archive: AsyncIterator[bytes], *, force: bool = False, dry_run: bool = False
    ) -> Report:
        """Read the archive to its end, check it, and restore it; `dry_run` only says what changes.

        Raises Overloaded, RestoreRefused, StorageFull, LevelTooLow, NotLeader, LeadershipLost, and
        QuorateError for an archive that is not whole.
        """
        if self._running:
            raise Overloaded("a snapshot is being restored already", "try again when that is done")
        self._running = str(uuid.uuid4())
        try:
            meta, image = await self._received(archive)
            self._check(meta, image, force=force)
            if dry_run:
                live = self._machine.readable().image()
                found = await in_thread(self._merged, live, image, self._index(live, image))
                return Report(meta=meta, changes=found.changes)
            return await self._carried_out(meta, image, force=force)
        finally:
            self._writes.pause(None)
            self._running = ""

    def _stops(self, command: bytes) -> bool:
        """Whether this command would change a table that is being restored."""
        return type_of(command, self._machine.store.registry) in self._paused

    async def drop_left_over(self, may_write: Callable[[], bool]) -> None:
        """For ever: give up what another leader has begun and will not end, if this one leads."""
        while True:
            await asyncio.sleep(_LOOK_S)
            known = restoring.current(self._machine.store)
            if known is not None and known.id != self._running and may_write():
                with suppress(QuorateError):  # looked at again, here or by the next leader
                    await self._writes.apply(encode(DropRestore(id=known.id)))

    # -- the archive -------------------------------------------------------------------------------

    async def _received(self, archive: AsyncIterator[bytes]) -> tuple[ArchiveMeta, SnapshotImage]:
        spool = Spool(self._folder)
        try:
            waiting = bytearray()
            async for piece in archive:
                waiting += piece
                if len(waiting) >= _WRITE_BYTES:
                    data, waiting = bytes(waiting), bytearray()
                    await in_thread(spool.write, data)
            await in_thread(spool.write, bytes(waiting))
            return await in_thread(self._read, spool)
        finally:
            spool.close()

    def _read(self, spool: Spool) -> tuple[ArchiveMeta, SnapshotImage]:
        """In a thread. Checked whole first: nothing of it is decoded before its sums are right."""
        registry = self._machine.store.registry
        found: list[SnapshotImage] = []
        limit = min(STATE_BYTES_MAX, _memory_bytes() // 2)
        try:
            spool.rewind()
            meta = read_archive(spool.read, state_max=limit).meta
            spool.rewind()
            read_archive(
                spool.read,
                lambda read: found.append(decode_snapshot(read, registry)),
                state_max=limit,
            )
            _facts(found[0]).compare(meta)
        except (ArchiveError, SnapshotError) as error:
            raise QuorateError(_FAILED + error.text, error.next_step) from error
        return meta, found[0]

    def _check(self, meta: ArchiveMeta, image: SnapshotImage, *, force: bool) -> None:
        """Raises RestoreRefused for an archive that is not of this cluster."""
        ours = cluster.current(self._machine.readable())
        theirs = cluster.current(image.tables)
        if force or ours is None or (theirs is not None and theirs.cluster_id == ours.cluster_id):
            return
        whose = "of no cluster" if theirs is None else f"of cluster {theirs.cluster_id}"
        raise RestoreRefused(
            f"the archive {meta.id} is {whose}, and this is cluster {ours.cluster_id}",
            "see what it would change with -dry-run; restore it with -force",
        )

    # -- what it changes ---------------------------------------------------------------------------

    def _index(self, live: SnapshotImage, archive: SnapshotImage) -> int:
        return max(live.index, archive.index) + JUMP

    def _merged(self, live: SnapshotImage, archive: SnapshotImage, index: int) -> Restored:
        """In a thread."""
        return restored(live, archive, index, self._machine.store.registry)

    async def _carried_out(
        self, meta: ArchiveMeta, archive: SnapshotImage, *, force: bool
    ) -> Report:
        store = self._machine.readable()
        restored_at = self._index(store.image(), archive)
        self._writes.pause(self._stops)
        begin = BeginRestore(id=self._running, index=restored_at, tables=self._names)
        if not await self._written(begin):
            raise RestoreRefused("the state has a higher index than was expected", "try again")
        # All that was written before is applied now, and what may change stays as it is.
        live = store.image()
        try:
            found = await in_thread(self._merged, live, archive, restored_at)
            safety = await keep_safe(self._saves, self._folder)
            number = await self._sent(live, found)
            changed = tuple(c.table for c in found.changes if c.any)
            commit = CommitRestore(id=self._running, pieces=number, tables=changed)
            told = self._told(commit, meta, found, safety, force=force)
            index = await self._written(told)
        except BaseException:
            with suppress(QuorateError):
                self._give_up()
            raise
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
        waiting: list[Awaitable[tuple[int, Any]]] = []
        number = 0
        while (piece := await in_thread(next, pieces, None)) is not None:
            number += 1
            waiting.append(self._writes.apply(encode(piece)))
            if len(waiting) >= _IN_FLIGHT:
                _check_taken((await waiting.pop(0))[1])
        for each in waiting:
            _check_taken((await each)[1])
        return number

    def _told(
        self, commit: Command, meta: ArchiveMeta, found: Restored, safety: str, *, force: bool
    ) -> Command:
        changed = [c for c in found.changes if c.any]
        details = [("of cluster", meta.quorate_cluster), ("safety snapshot", Path(safety).name)]
        details += [(c.table, f"+{c.added} ~{c.changed} -{c.deleted}") for c in changed]
        note = Note(
            kind=RESTORE, what="restored", subject=meta.id, force=force, details=tuple(details)
        )
        time_ms = self._unix_ms()
        return Noted(command=encode(commit), note=note, time_ms=time_ms, by=OPERATOR)

    async def _written(self, command: Command) -> Any:
        return (await self._writes.apply(encode(command)))[1]


def _facts(image: SnapshotImage) -> StateFacts:
    named = cluster.current(image.tables)
    return StateFacts(
        index=image.applied_index,
        shift=image.index - image.applied_index,
        cluster="" if named is None else named.cluster_id,
        level=image.level,
    )


def _check_taken(taken: bool) -> None:
    if not taken:
        raise RestoreRefused(
            "another leader has given the restore up; nothing was changed",
            "restore the archive again",
        )


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
