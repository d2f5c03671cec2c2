"""How far the indexes of the state are above those of the log.

They are the same until an archive is restored. Its cluster may have given higher indexes than this
log has, and later ones that the archive does not hold; no client may see an index fall. So a
restore raises the indexes of the state at once, and leaves those of the log as they are.
"""

from __future__ import annotations

from typing import Final

from quorate.state.engine.record import Record
from quorate.state.engine.table import SINGLETON, OnRestore, Reader, Table

RESTORE_LEVEL: Final = 3
"""The feature level from which on an archive can be restored."""


class IndexShift(Record, frozen=True, kw_only=True):
    """An entry of the log at index n changes the state at index n + shift."""

    shift: int


TABLE: Final = Table(
    name="index_shift", record=IndexShift, on_restore=OnRestore.KEPT, level=RESTORE_LEVEL
)


def current(reader: Reader) -> int:
    """The shift in force."""
    record = reader.get(TABLE, SINGLETON)
    return 0 if record is None else record.shift
