"""Last entry and state of a recovered server, from its log and snapshot. Pure.

The servers that are left out may have acknowledged writes, and given indexes, that no survivor has.
So all indexes go on far above those of the log, as after a restore of an archive, and no client
sees one twice. No holder of a lock can have renewed it meanwhile: each ends, and its delay runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quorate.errors import QuorateError
from quorate.raft.values.messages import Entry, EntryKind
from quorate.state.engine.restore import shift
from quorate.state.engine.restore.shift import RESTORE_LEVEL, IndexShift
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.store import Held, StateStore
from quorate.state.engine.table import SINGLETON
from quorate.state.tables import variables
from quorate.state.tables.locks import ExpireLock, all_locks
from quorate.storage.log.extent import LogExtent

INDEXES_BETWEEN: Final = 1 << 20
"""More than the left-out servers can have written that no survivor has."""


def last_entry(log: LogExtent, snapshot: tuple[int, int], *, whole: bool) -> tuple[int, int]:
    """Index and term of the entry at which a recovered server goes on; zeros if it has none.

    `snapshot` is the same of its newest one. Without `whole` its log counts for nothing.
    """
    if whole:
        return max((log.last_index, log.last_term), snapshot)
    if not snapshot[0] and not log.is_empty:
        return 1, log.term(1) or 0  # the entry that founded the cluster
    return snapshot


def apply_log(store: StateStore, entries: Iterable[Entry]) -> int:
    """Apply what the log has behind the store's snapshot, committed or not; how many commands.

    Raises QuorateError for a command that this version cannot read, LogDamaged.
    """
    count = 0
    for entry in entries:
        if entry.kind != EntryKind.COMMAND:
            continue
        try:
            store.apply(entry.index, entry.data)
        except Held as error:
            raise QuorateError(
                f"entry {entry.index} cannot be applied: {error}", "recover with a newer version"
            ) from error
        count += 1
    return count


def moved(store: StateStore) -> SnapshotImage:
    """The state of the store as the recovered cluster has it.

    It depends on the state alone: servers with equal logs come to equal states.
    """
    image = store.image()
    if store.level < RESTORE_LEVEL:
        return image  # its servers know no shift
    tables = image.tables
    index = store.applied_index + store.shift + INDEXES_BETWEEN
    for key, row in list(all_locks(store).items()):
        known = tables.get(variables.TABLE, key)
        if not row.lock_id or known is None:
            continue
        expire = ExpireLock(
            namespace=row.namespace,
            path=row.path,
            since=row.modify_index,
            time_ns=known.modify_time,
        )
        expire.apply(tables, index)
    tables.put(shift.TABLE, SINGLETON, IndexShift(shift=store.shift + INDEXES_BETWEEN), index)
    tables.changes.clear()
    return image
