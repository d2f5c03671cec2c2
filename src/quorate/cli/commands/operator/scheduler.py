"""`quorate operator scheduler ...` (docs/http-api.md#autopilot-and-the-scheduler)."""

from __future__ import annotations

from typing import Any

import msgspec

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, word
from quorate.client import SchedulerConfiguration

LOST_RACE = "Scheduler configuration could not be atomically updated, please try again"

FIELDS = {
    "scheduler-algorithm": "scheduler_algorithm",
    "memory-oversubscription": "memory_oversubscription_enabled",
    "reject-job-registration": "reject_job_registration",
    "pause-eval-broker": "pause_eval_broker",
}
PREEMPTION = (
    ("preempt-system-scheduler", "System", "system_scheduler_enabled"),
    ("preempt-service-scheduler", "Service", "service_scheduler_enabled"),
    ("preempt-batch-scheduler", "Batch", "batch_scheduler_enabled"),
    ("preempt-sysbatch-scheduler", "SysBatch", "sysbatch_scheduler_enabled"),
)
"""Flag, name in the table, field; in the table's order."""


def get_config(context: Context) -> int:
    """Show the settings as a block."""
    with context.client() as client, doing("Error querying scheduler configuration: "):
        found = client.scheduler_configuration(stale=context.flags.on("stale"))
    return context.show(found.raw, lambda: context.out.line(_block(found)))


def _block(found: SchedulerConfiguration) -> str:
    preemption = found.preemption_config
    return format_block(
        (
            ("Scheduler Algorithm", found.scheduler_algorithm),
            ("Memory Oversubscription", word(found.memory_oversubscription_enabled)),
            ("Reject Job Registration", word(found.reject_job_registration)),
            ("Pause Eval Broker", word(found.pause_eval_broker)),
            *(
                (f"Preemption {name} Scheduler", word(getattr(preemption, field)))
                for _, name, field in PREEMPTION
            ),
            ("Modify Index", str(found.modify_index)),
        )
    )


def set_config(context: Context) -> int:
    """Change the settings that were given, unless another operator changed them meanwhile."""
    with context.client() as client:
        with doing("Error querying for scheduler configuration: "):
            found = client.scheduler_configuration()
        cas = context.flags.number("check-index", found.modify_index)
        with doing("Error setting scheduler configuration: "):
            result = client.set_scheduler_configuration(_changed(context, found), cas=cas)
    if not result.updated:
        raise Failure(LOST_RACE)
    context.out.line("Scheduler configuration updated!")
    return 0


def _changed(context: Context, found: SchedulerConfiguration) -> SchedulerConfiguration:
    fields = {flag: field for flag, _, field in PREEMPTION}
    preemption = msgspec.structs.replace(found.preemption_config, **_given(context, fields))
    return msgspec.structs.replace(found, preemption_config=preemption, **_given(context, FIELDS))


def _given(context: Context, fields: dict[str, str]) -> dict[str, Any]:
    given = context.flags.values
    return {field: given[flag] for flag, field in fields.items() if flag in given}
