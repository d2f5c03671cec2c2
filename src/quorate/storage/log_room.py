"""Room that entries may not use, so that a log which filled its disk can still be compacted.

LMDB writes a changed page to a new place; a compaction thus needs room before it gives any, and
the file never shrinks: what it gives is room inside the file. If entries were taken until the
disk is full, nothing could ever be removed again while the server runs. So the last `ROOM_KEPT`
bytes, inside the file and on the disk together, are for batches without entries: compaction, term
and vote (a server with a full disk still takes part in elections).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import lmdb

from quorate.errors import StorageFull
from quorate.raft.messages import Entry
from quorate.storage.free_space import free_bytes
from quorate.wire.entries import encode_entry

ROOM_KEPT: Final = 1 << 20
"""Bytes."""

_PAGES_OF_LMDB: Final = 3  # two meta pages, and the root of the names of the databases
_FREE_PER_PAGE_OF_LIST: Final = 256  # LMDB keeps its list of free pages in pages
_PAGES_PER_BYTE: Final = 2  # an entry of half a page takes a whole one
_BYTES_PER_WRITE: Final = 64 * 1024  # pages that a write replaces, whatever it adds
_AMPLE: Final = 64 << 20  # with so much above what is kept, a look lasts for a moment
_LOOK_LASTS_S: Final = 0.25


class Room:
    """Watches the room of one log.

    A look costs as much as a small write, so where there is plenty it lasts for a moment: other
    programs are not expected to take `_AMPLE` in that time, and if they do, the write itself
    fails and changes nothing.
    """

    def __init__(self, env: lmdb.Environment, databases: Sequence[Any], folder: Path) -> None:
        self._env = env
        self._databases = databases
        self._folder = folder
        self._unspent = 0  # bytes that may be written before the next look
        self._looked_at = 0.0

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise StorageFull unless `entries` fit in without touching the room that is kept."""
        needed = sum([len(encode_entry(entry)) for entry in entries]) * _PAGES_PER_BYTE
        self._unspent -= needed + _BYTES_PER_WRITE
        if self._unspent >= 0 and time.monotonic() - self._looked_at < _LOOK_LASTS_S:
            return
        room = self._look()
        if room < needed + ROOM_KEPT:
            raise StorageFull(
                f"cannot write {self._folder}: no room (the last {ROOM_KEPT >> 20} MiB are kept "
                "for compaction)",
                "make room on that disk",
            )
        self._looked_at = time.monotonic()
        self._unspent = room - ROOM_KEPT - _AMPLE

    def _look(self) -> int:
        """Free bytes, inside the file and on the disk together."""
        used = _PAGES_OF_LMDB
        page_size = 0
        with self._env.begin() as txn:
            for database in self._databases:
                stat = txn.stat(database)
                used += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
                page_size = stat["psize"]
        free = self._env.info()["last_pgno"] + 1 - used
        return (free - free // _FREE_PER_PAGE_OF_LIST) * page_size + free_bytes(self._folder)
