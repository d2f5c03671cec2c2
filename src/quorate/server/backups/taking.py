"""Takes the state of one index as a file, with the digest that servers hold at that index."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from quorate.backup.target import file_name
from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.server.archive.saving import Saves
from quorate.server.archive.spool import Spool
from quorate.server.integrity.slices import in_slices
from quorate.server.integrity.verdict import Verdict
from quorate.server.machine import ServerMachine
from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.tables.acl import seals
from quorate.state.tables.backups import Backup

_IMAGES_MAX = 4


class Taken(msgspec.Struct, frozen=True):
    """A backup that waits to be put to the target, and its bytes."""

    backup: Backup
    spool: Spool


class Taking:
    """Of one server. `check` compares the states of all members at an index of the log.

    `cluster_id` names the cluster, `members` counts its servers, `unix_ms` is the time of day.
    """

    def __init__(
        self,
        *,
        machine: ServerMachine,
        saves: Saves,
        check: Callable[[], Awaitable[Verdict]],
        server_id: str,
        cluster_id: Callable[[], str],
        members: Callable[[], int],
        unix_ms: Callable[[], int],
    ) -> None:
        self._machine = machine
        self._saves = saves
        self._check = check
        self._server_id = server_id
        self._cluster_id = cluster_id
        self._members = members
        self._unix_ms = unix_ms
        self._images: dict[int, SnapshotImage] = {}

    async def take(self, slot: int, *, manual: bool) -> Taken:
        """The state of now. The caller closes the spool. Raises QuorateError."""
        store = self._machine.readable()
        if restoring.current(store) is not None:
            raise QuorateError("an archive is being restored", "it is tried again")
        time_ms = self._unix_ms()
        self._machine.on_check = self._seen
        try:
            verdict = await self._check()
            image = self._images.pop(verdict.index, None)
        finally:
            self._machine.on_check = None
            left, self._images = list(self._images.values()), {}
            for each in left:
                await in_slices(each.tables.drain())
        if image is None:
            raise QuorateError("the state of the check was replaced", "it is tried again")
        try:
            holders = self._agreed(verdict)
            key_ids = await in_thread(seals.key_ids, image.tables)
        except BaseException:
            await in_slices(image.tables.drain())
            raise
        state_index = image.index
        meta, spool, sha256 = await self._saves.spool(verdict.index, image)
        shown = datetime.fromtimestamp(slot, UTC).strftime("%Y%m%dT%H%M%SZ")
        return Taken(
            Backup(
                name=file_name(self._cluster_id(), shown, verdict.index),
                slot=slot,
                by=self._server_id,
                index=meta.index,
                term=meta.term,
                state_index=state_index,
                time_ms=time_ms,
                size=spool.size,
                sha256=sha256.hex(),
                state_bytes=meta.size,
                digest=verdict.right,
                holders=holders,
                key_ids=tuple(sorted(key_ids)),
                manual=manual,
            ),
            spool,
        )

    def _seen(self, index: int, image: SnapshotImage) -> None:
        if len(self._images) < _IMAGES_MAX:
            self._images[index] = image

    def _agreed(self, verdict: Verdict) -> int:
        """How many members hold the digest. Raises QuorateError if that is no majority."""
        self._machine.readable()
        if not verdict.right:
            silent = ", ".join(f"{each.node} ({each.why})" for each in verdict.unknown[:3])
            raise QuorateError(
                f"no majority of the servers has told the digest of its state: {silent or 'none'}",
                "it is tried again",
            )
        return self._members() - len(verdict.wrong) - len(verdict.unknown)
