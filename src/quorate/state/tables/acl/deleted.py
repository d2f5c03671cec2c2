"""Tokens that were deleted, by accessor: a restore of an older state does not bring them back.

A token that has expired needs no row: its time is in the older state too. The rows are bounded; of
those that are forgotten the highest create index is kept, and a restore of an older state of this
cluster takes no token from before it that is not there any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import SINGLETON, OnRestore, Record, Table, Tables
from quorate.state.tables.acl import standing
from quorate.state.tables.acl.standing import ACL_LEVEL

DELETED_MAX: Final = 32_768
"""Rows: some 10 MiB of memory."""


class DeletedToken(Record, frozen=True, kw_only=True):
    """`token_index` is the create index of the token, `expires` its end (Unix ns, 0: none)."""

    token_index: int
    expires: int = 0


def _both(
    ours: OrderedMap[DeletedToken], theirs: OrderedMap[DeletedToken]
) -> Mapping[str, DeletedToken]:
    return {**dict(theirs.items()), **dict(ours.items())}


TABLE: Final = Table(
    name="acl_deleted",
    record=DeletedToken,
    on_restore=OnRestore.MERGED,
    restored="both",
    merge=_both,
    level=ACL_LEVEL,
)


def remember(tables: Tables, accessor: str, row: DeletedToken, index: int, time_ns: int) -> None:
    """Keep that the token was deleted at `time_ns`, and forget others if there are too many."""
    tables.put(TABLE, accessor, row, index)
    rows = tables.rows(TABLE)
    if len(rows) <= DELETED_MAX:
        return
    over = [key for key, each in rows.items() if 0 < each.expires <= time_ns]
    for key in over:
        tables.delete(TABLE, key, index)
    # Some more than must be: all of them are looked at only now and then.
    left = DELETED_MAX * 3 // 4
    oldest = sorted(rows.items(), key=lambda each: (each[1].create_index, each[0]))
    forgotten = 0
    for key, each in oldest[: max(len(oldest) - left, 0)]:
        forgotten = max(forgotten, each.token_index)
        tables.delete(TABLE, key, index)
    known = standing.current(tables)
    if forgotten > known.forgotten:
        tables.put(standing.TABLE, SINGLETON, replace(known, forgotten=forgotten), index)
