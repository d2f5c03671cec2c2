"""The autopilot configuration: one record, written by operators.

See docs/http-api.md#autopilot-and-the-scheduler.

Durations are whole nanoseconds here; their text form is the API's business.
"""

from __future__ import annotations

from typing import ClassVar, Final

from quorate.state.engine.table import (
    SINGLETON,
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
)


class AutopilotConfiguration(Record, frozen=True, kw_only=True):
    """How autopilot treats dead, slow and new servers. The defaults are those of the API."""

    cleanup_dead_servers: bool = True
    last_contact_threshold_ns: int = 200_000_000
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_time_ns: int = 10_000_000_000
    enable_redundancy_zones: bool = False
    disable_upgrade_migration: bool = False
    enable_custom_upgrades: bool = False


class SetAutopilotConfiguration(Command, frozen=True, kw_only=True):
    """Replace the whole configuration; the indexes inside `configuration` do not matter.

    With `cas` only if the modify index is just that. Result: whether it was written.
    """

    TYPE: ClassVar[int] = 2
    SETTING: ClassVar[bool] = True

    configuration: AutopilotConfiguration
    cas: int | None = None

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        return tables.put_single(TABLE, self.configuration, index, self.cas)


TABLE: Final = Table(
    name="autopilot_configuration",
    record=AutopilotConfiguration,
    on_restore=OnRestore.REPLACED,
    commands=(SetAutopilotConfiguration,),
)


def current(reader: Reader) -> AutopilotConfiguration | None:
    """The configuration, or None while no leader has written one."""
    return reader.get(TABLE, SINGLETON)
