"""Restores an archive into the running cluster (docs/snapshots.md#restore). On the leader alone.

Here it is read and checked; `replacing` puts it in place.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from quorate.archive.contents import StateFacts
from quorate.archive.meta import STATE_BYTES_MAX, ArchiveError, ArchiveMeta
from quorate.archive.reading import read_archive
from quorate.errors import QuorateError, RestoreRefused
from quorate.net.threads import Turns, in_thread
from quorate.server.archive.replacing import Replacing, Report
from quorate.server.archive.safety import drop_unfinished, keep_safe
from quorate.server.archive.saving import Saves
from quorate.server.archive.spool import Spool
from quorate.server.archive.transfers import Arriving, Transfers
from quorate.server.machine import ServerMachine
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping
from quorate.server.writes import Writes
from quorate.state.engine.snapshot import SnapshotError, SnapshotImage, decode_snapshot
from quorate.state.tables import cluster, root_keys
from quorate.state.tables.acl import seals
from quorate.state.tables.acl.tokens import ALL_TABLES

_WRITE_BYTES: Final = 1 << 20
_KEYS_NAMED_MAX: Final = 5
_FAILED: Final = "failed to restore from snapshot: "


class Restores:
    """The restores of one server, one at a time. `folder` is on its disk.

    What a process has left there that was killed within one goes when this is made.
    """

    def __init__(
        self,
        machine: ServerMachine,
        writes: Writes,
        saves: Saves,
        folder: Path,
        unix_ms: Callable[[], int],
        *,
        wrapping: Wrapping = NO_WRAPPING,
    ) -> None:
        drop_unfinished(folder)
        self._machine = machine
        self._wrapping = wrapping
        self._folder = folder
        self._replacing = Replacing(machine, writes, lambda: keep_safe(saves, folder), unix_ms)
        self._uploads = Transfers("are being received")
        self.drop_left_over = self._replacing.drop_left_over

    async def restore(
        self,
        archive: AsyncIterator[bytes],
        *,
        force: bool = False,
        dry_run: bool = False,
        keep_acl: bool = False,
    ) -> Report:
        """Read the archive to its end, check it, and restore it; `dry_run` only says what changes.

        With `keep_acl` tokens, policies and roles stay as they are.

        Raises Overloaded, RestoreRefused, RestoreUnknown, StorageFull, LevelTooLow, NotLeader,
        LeadershipLost, and QuorateError for an archive that is not whole.
        """
        self._replacing.check_free()
        spool = await self._received(archive)
        try:
            self._replacing.begin()
        except BaseException:
            spool.close()
            raise
        try:
            keep = ALL_TABLES if keep_acl else ()
            meta, image = await self._opened(spool)
            self._check(meta, image, force=force)
            if dry_run:
                return await self._replacing.preview(meta, image, keep=keep)
            return await self._replacing.carry_out(meta, image, force=force, keep=keep)
        finally:
            self._replacing.end()

    # -- the archive -------------------------------------------------------------------------------

    async def _received(self, archive: AsyncIterator[bytes]) -> Spool:
        """All of it on the disk. Nobody else waits for it: an upload may take long."""
        arriving = Arriving(archive, self._uploads)
        try:
            spool = Spool(self._folder)
        except BaseException:
            arriving.close()
            raise
        try:
            waiting = bytearray()
            while (piece := await arriving.next()) is not None:
                waiting += piece
                if len(waiting) >= _WRITE_BYTES:
                    data, waiting = bytes(waiting), bytearray()
                    await in_thread(spool.write, data)
            await in_thread(spool.write, bytes(waiting))
        except BaseException:
            spool.close()
            raise
        finally:
            arriving.close()
        return spool

    async def _opened(self, spool: Spool) -> tuple[ArchiveMeta, SnapshotImage]:
        try:
            ours = frozenset(self._machine.store.rows(root_keys.TABLE))
            turns = Turns(asyncio.get_running_loop())
            return await in_thread(self._read, spool, ours, turns)
        finally:
            spool.close()

    def _read(
        self, spool: Spool, ours: frozenset[str], turns: Turns
    ) -> tuple[ArchiveMeta, SnapshotImage]:
        """In a thread. Checked whole first: nothing of it is decoded before its sums are right.

        `ours` are the IDs of this cluster's root keys.
        """
        registry = self._machine.store.registry
        found: list[SnapshotImage] = []
        limit = min(STATE_BYTES_MAX, _memory_bytes() // 2)
        try:
            spool.rewind()
            meta = read_archive(turns.between(spool.read), state_max=limit).meta
            spool.rewind()
            read_archive(
                spool.read,
                lambda read: found.append(decode_snapshot(turns.between(read), registry)),
                state_max=limit,
            )
            _facts(found[0]).compare(meta)
            _check_keys(meta, found[0], ours)
        except (ArchiveError, SnapshotError) as error:
            raise QuorateError(_FAILED + error.text, error.next_step) from error
        return meta, found[0]

    def _check(self, meta: ArchiveMeta, image: SnapshotImage, *, force: bool) -> None:
        """Raises RestoreRefused for an archive that is not of this cluster, or cannot be read."""
        if lacks := self._wrapping.lack(image.tables):
            raise RestoreRefused(
                f"the root keys of the archive {meta.id} are wrapped with key {', '.join(lacks)}, "
                "which this leader does not have",
                "give that key to all servers as an older one, start them again, and restore then",
            )
        ours = cluster.current(self._machine.readable())
        theirs = cluster.current(image.tables)
        if force or ours is None or (theirs is not None and theirs.cluster_id == ours.cluster_id):
            return
        whose = "of no cluster" if theirs is None else f"of cluster {theirs.cluster_id}"
        raise RestoreRefused(
            f"the archive {meta.id} is {whose}, and this is cluster {ours.cluster_id}",
            "see what it would change with -dry-run; restore it with -force",
        )


def _facts(image: SnapshotImage) -> StateFacts:
    named = cluster.current(image.tables)
    return StateFacts(
        index=image.applied_index,
        shift=image.index - image.applied_index,
        cluster="" if named is None else named.cluster_id,
        level=image.level,
    )


def _check_keys(meta: ArchiveMeta, archive: SnapshotImage, ours: frozenset[str]) -> None:
    """Raise RestoreRefused for what no key could open. Takes time by the size."""
    kept = archive.tables.rows(root_keys.TABLE)
    here = ours | {name for name, row in kept.items() if row.key}
    needed = seals.key_ids(archive.tables)
    redacted = bool(meta.quorate_redacted) or seals.is_redacted(archive.tables)
    missing = sorted({*needed, *(name for name, row in kept.items() if not row.key)} - here)
    named = ", ".join(missing[:_KEYS_NAMED_MAX])
    if len(missing) > _KEYS_NAMED_MAX:
        named += f" and {len(missing) - _KEYS_NAMED_MAX} more"
    if redacted:
        without = f", and root keys {named} are not in it" if missing else ""
        raise RestoreRefused(
            f"the archive {meta.id} is redacted: the texts of values are not in it{without}",
            "restore the archive that it was made of, or another one",
        )
    if missing:
        raise RestoreRefused(
            f"the archive {meta.id} has values sealed with root keys that are neither in it nor in "
            f"this cluster: {named}",
            "restore an archive that has them",
        )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
