"""Reading again what lies on the disk, while the replica runs: the log, and the newest snapshot.

A log that is damaged ends the replica: it can no longer show what it has acknowledged, and any
answer that a leader counts on might rest on it. If it leads it hands over first, for what was
not yet read from the disk again is as it was sent. A damaged snapshot ends nothing, because the
state is in memory: another one is taken, and the next start uses that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, Protocol

from quorate.errors import LogDamaged, QuorateError
from quorate.replica.snapshots import SnapshotWorker
from quorate.storage.log.scrub import LogScrub
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import NewestSnapshot

log = logging.getLogger("quorate.replica")

SNAPSHOT_EVERY: Final = 10
"""Intervals from one look at the newest snapshot to the next: five minutes by default."""

_IDLE_S: Final = 1.0  # how often it is looked whether a scrub that was switched off is wanted
_PAUSE_MIN_S: Final = 0.005


class Scrubbed(Protocol):
    """The interface of a replica that scrubbing needs."""

    log: LogStore

    @property
    def is_leader(self) -> bool:
        """Whether it believes to lead."""

    async def transfer(self) -> str:
        """Hand leadership over."""

    async def snapshot_now(self) -> int:
        """Store a snapshot; its index, 0 if there is nothing new."""


async def scrub(replica: Scrubbed, worker: SnapshotWorker, interval_s: Callable[[], float]) -> None:
    """For ever. Raises LogDamaged when the log is not what was written.

    A round over the log takes half of the interval (0: none is made), so that a byte that changes
    right behind the reader is found within the whole. All reading is done by the snapshots' thread.
    """
    rounds = LogScrub(replica.log)
    since_snapshot = 0.0
    while True:
        interval = interval_s()
        if not interval:
            await asyncio.sleep(_IDLE_S)
            continue
        pause = max(interval / 2 / rounds.pieces(), _PAUSE_MIN_S)
        await asyncio.sleep(pause)
        try:
            await worker.run(rounds.piece)
        except LogDamaged:
            if replica.is_leader:
                with contextlib.suppress(QuorateError):
                    await replica.transfer()
            raise
        since_snapshot += pause
        if since_snapshot >= SNAPSHOT_EVERY * interval:
            since_snapshot = 0.0
            try:
                await _look_at_snapshot(replica, worker)
            except (QuorateError, OSError) as error:
                log.warning("the newest snapshot could not be looked at, or replaced: %s", error)


async def _look_at_snapshot(replica: Scrubbed, worker: SnapshotWorker) -> None:
    newest: NewestSnapshot = await worker.run(worker.store.newest_valid)
    for damage in newest.problems:
        log.error("%s; another snapshot is taken in its place", damage.text)
        if index := await replica.snapshot_now():
            log.warning("a snapshot at index %d stands in place of the damaged one", index)
