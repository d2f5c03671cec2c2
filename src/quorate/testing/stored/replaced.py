"""The state that a restore must leave, said apart from the code that makes it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.restore import shift
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.table import OnRestore
from quorate.state.registry import TODAY
from quorate.state.tables import locks, root_keys, variables
from quorate.state.tables.variables import Variable
from quorate.testing.sim.verdicts.violations import expect

JUMP_LEAST = 1 << 20
WRITES_MAX = 1000
_OWN = {"journal", "journal_state", restoring.TABLE.name, shift.TABLE.name}
"""Tables that tell of the restore itself."""


def judge_restore(before: SnapshotImage, archive: SnapshotImage, after: SnapshotImage) -> None:
    """Raises ViolationError."""
    # Entries may have come since the leader has chosen the index.
    least = max(before.index - WRITES_MAX, archive.index) + JUMP_LEAST
    expect(after.index >= least, f"a restore went on at {after.index}, not at {least}")
    _judge_variables(before, archive, after)
    _judge_locks(before, archive, after)
    _judge_keys(before, after)
    for table in TODAY.tables:
        if table.on_restore is OnRestore.KEPT and table.name not in _OWN:
            same = _rows(before, table) == _rows(after, table)
            expect(same, f"a restore changed the table {table.name}, which it keeps")


def _rows(image: SnapshotImage, table: Any) -> dict[str, Any]:
    return dict(image.tables.rows(table).items())


def _judge_variables(before: SnapshotImage, archive: SnapshotImage, after: SnapshotImage) -> None:
    ours, found = _rows(before, variables.TABLE), _rows(after, variables.TABLE)
    wanted = {key: _said(row) for key, row in _rows(archive, variables.TABLE).items()}
    told = {key: _said(row) for key, row in found.items()}
    expect(told == wanted, f"a restore made {sorted(told)} of {sorted(wanted)}")
    for key, row in found.items():
        expect(not row.lock_id and not row.lock_fence, f"{row.path} is locked after a restore")
        known = ours.get(key)
        index = after.index
        if known is not None and not known.lock_id and _said(known) == _said(row):
            index = known.modify_index
        expect(row.modify_index == index, f"{row.path} has index {row.modify_index}, not {index}")


def _said(row: Variable) -> Variable:
    """What a variable says, apart from indexes and its lock."""
    return replace(
        *(row,),
        create_index=0,
        modify_index=0,
        lock_id="",
        lock_ttl_ns=0,
        lock_delay_ns=0,
        lock_fence=0,
    )


def _judge_locks(before: SnapshotImage, archive: SnapshotImage, after: SnapshotImage) -> None:
    """None is held, and what was held in one of the two is delayed, if it has a delay."""
    wanted = {
        key
        for image in (archive, before)
        for key, row in _rows(image, locks.TABLE).items()
        if row.delay_ns
    }
    found = _rows(after, locks.TABLE)
    for key, row in found.items():
        expect(not row.lock_id, f"{row.lock_id} holds {row.path} after a restore")
        expect(key in wanted, f"{row.path} is delayed after a restore, and was not locked")
    missing = [key for key in wanted if key not in found and _counts(key, before)]
    expect(not missing, f"no delay runs after a restore for {missing}")


def _counts(key: str, before: SnapshotImage) -> bool:
    """Whether the cluster's own lock has a delay, or there is none of its own."""
    ours = _rows(before, locks.TABLE).get(key)
    return ours is None or bool(ours.delay_ns)


def _judge_keys(before: SnapshotImage, after: SnapshotImage) -> None:
    keys = _rows(after, root_keys.TABLE)
    for row in _rows(after, variables.TABLE).values():
        expect(not row.key_id or row.key_id in keys, f"{row.path} lacks its key after a restore")
    own = root_keys.active(before.tables)
    now = root_keys.active(after.tables)
    expect(
        own is None or (now is not None and now[0] == own[0]), "a restore changed the active key"
    )
