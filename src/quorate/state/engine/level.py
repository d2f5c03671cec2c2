"""The cluster's feature level: one record, which only rises (`quorate.levels`).

Invariants: the level never falls. What a level allows is in the log only behind the command that
raised the cluster to it: a leader writes nothing of a level that it has not applied itself. So a
server that stops at a command it cannot read has applied nothing that others understood otherwise.
"""

from __future__ import annotations

from typing import ClassVar, Final

from quorate.state.engine.table import SINGLETON, Command, OnRestore, Reader, Record, Table, Tables


class ClusterLevel(Record, frozen=True, kw_only=True):
    """`version` is the first of Quorate that knows the level, for servers that do not."""

    level: int
    version: str = ""


class RaiseLevel(Command, frozen=True, kw_only=True):
    """Raise the cluster to `level`, unless it is as high already. Result: the level in force.

    A version that does not know `level` does not apply it: from here on the log may hold what it
    cannot read.
    """

    TYPE: ClassVar[int] = 8
    LEVEL: ClassVar[int] = 0
    """It comes before the level; `quorate.autopilot.deciders.level` decides when it is written."""

    level: int
    version: str = ""

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        before = current(tables)
        if self.level <= before:
            return before
        record = ClusterLevel(level=self.level, version=self.version)
        tables.put(TABLE, SINGLETON, record, index)
        return self.level


TABLE: Final = Table(
    name="cluster_level", record=ClusterLevel, on_restore=OnRestore.KEPT, commands=(RaiseLevel,)
)


def current(reader: Reader) -> int:
    """The level in force. A cluster that was never raised is of level 0."""
    record = reader.get(TABLE, SINGLETON)
    return 0 if record is None else record.level
