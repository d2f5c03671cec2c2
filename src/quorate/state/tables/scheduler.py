"""The scheduler configuration: one record, with the fields of 1.0 and 2.0.

See docs/http-api.md#autopilot-and-the-scheduler.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from quorate.state.engine.table import (
    SINGLETON,
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
)

ALGORITHMS: Final = ("", "binpack", "spread")
"""What the API accepts; empty means binpack."""


class SchedulerConfiguration(Record, frozen=True, kw_only=True):
    """Kept and replicated for clients that set it; nothing here schedules.

    Who may preempt has other names in the log and in snapshots than here and in the API.
    """

    scheduler_algorithm: str = "binpack"
    system_scheduler_enabled: bool = msgspec.field(name="preempt_system", default=True)
    sysbatch_scheduler_enabled: bool = msgspec.field(name="preempt_sysbatch", default=False)
    batch_scheduler_enabled: bool = msgspec.field(name="preempt_batch", default=False)
    service_scheduler_enabled: bool = msgspec.field(name="preempt_service", default=False)
    memory_oversubscription_enabled: bool = False
    reject_job_registration: bool = False
    pause_eval_broker: bool = False
    node_limit_for_feasibility_checks: int = 0


class SetSchedulerConfiguration(Command, frozen=True, kw_only=True):
    """Replace the whole configuration; the indexes inside `configuration` do not matter.

    With `cas` only if the modify index is just that. Result: whether it was written.
    """

    TYPE: ClassVar[int] = 3
    SETTING: ClassVar[bool] = True

    configuration: SchedulerConfiguration
    cas: int | None = None

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        return tables.put_single(TABLE, self.configuration, index, self.cas)


TABLE: Final = Table(
    name="scheduler_configuration",
    record=SchedulerConfiguration,
    on_restore=OnRestore.REPLACED,
    commands=(SetSchedulerConfiguration,),
)


def current(reader: Reader) -> SchedulerConfiguration | None:
    """The configuration, or None while no leader has written one."""
    return reader.get(TABLE, SINGLETON)
