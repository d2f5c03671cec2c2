"""Room that entries may not use, so that a log which filled its disk can still be compacted.

LMDB writes a changed page to a new place; a compaction thus needs room before it gives any, and
the file never shrinks: what it gives is room inside the file. If entries were taken until the
disk is full, nothing could ever be removed again while the server runs. So the last `ROOM_KEPT`
bytes, inside the file and on the disk together, are for batches without entries: compaction, term
and vote (a server with a full disk still takes part in elections).
"""

from __future__ import annotations

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


def check_room(
    env: lmdb.Environment,
    txn: lmdb.Transaction[bytes],
    databases: Sequence[Any],
    entries: Sequence[Entry],
    folder: Path,
) -> None:
    """Raise StorageFull unless `entries` fit in without touching the room that is kept."""
    used = _PAGES_OF_LMDB
    page_size = 0
    for database in databases:
        stat = txn.stat(database)
        used += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        page_size = stat["psize"]
    free = env.info()["last_pgno"] + 1 - used
    room = (free - free // _FREE_PER_PAGE_OF_LIST) * page_size + free_bytes(folder)
    needed = sum(len(encode_entry(entry)) for entry in entries) * _PAGES_PER_BYTE
    if room < needed + ROOM_KEPT:
        raise StorageFull(
            f"cannot write {folder}: no room (the last {ROOM_KEPT >> 20} MiB are kept for "
            "compaction)",
            "make room on that disk",
        )
