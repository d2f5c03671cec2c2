"""The first command of a leader: fill in what no earlier leader has written.

The values travel in the command, because a leader's own settings decide
(docs/configuration.md#autopilot: "only the initial values") and every server must come to the same
state.
"""

from __future__ import annotations

from typing import Any, ClassVar

from quorate.state.engine.table import SINGLETON, Command, Record, Table, Tables
from quorate.state.tables import autopilot, scheduler
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.scheduler import SchedulerConfiguration


class InitialiseDefaults(Command, frozen=True, kw_only=True):
    """Write each of these where none is stored. Result: the names of the tables written."""

    TYPE: ClassVar[int] = 1

    autopilot: AutopilotConfiguration = AutopilotConfiguration()
    scheduler: SchedulerConfiguration = SchedulerConfiguration()

    def apply(self, tables: Tables, index: int) -> tuple[str, ...]:
        """See the class."""
        wanted: tuple[tuple[Table[Any], Record], ...] = (
            (autopilot.TABLE, self.autopilot),
            (scheduler.TABLE, self.scheduler),
        )
        absent = [pair for pair in wanted if tables.get(pair[0], SINGLETON) is None]
        for table, record in absent:
            tables.put(table, SINGLETON, record, index)
        return tuple(table.name for table, _ in absent)


def needed(tables: Tables) -> bool:
    """Whether the command would write anything."""
    return autopilot.current(tables) is None or scheduler.current(tables) is None
