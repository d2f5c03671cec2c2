"""The settings that operators write: of the scheduler and of autopilot.

See docs/http-api.md#autopilot-and-the-scheduler.
"""

from __future__ import annotations

import msgspec

from quorate.shapes.shape import Duration, Index, Int64, Uint64


class PreemptionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which schedulers may preempt."""

    batch_scheduler_enabled: bool = False
    service_scheduler_enabled: bool = False
    sysbatch_scheduler_enabled: bool = msgspec.field(name="SysBatchSchedulerEnabled", default=False)
    system_scheduler_enabled: bool = False


class SchedulerConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Of the scheduler, with the fields of 1.0 and 2.0."""

    create_index: Index = 0
    memory_oversubscription_enabled: bool = False
    modify_index: Index = 0
    node_limit_for_feasibility_checks: Int64 = 0
    pause_eval_broker: bool = False
    preemption_config: PreemptionConfig = PreemptionConfig()
    reject_job_registration: bool = False
    scheduler_algorithm: str = ""


class SchedulerAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/scheduler/configuration`. `last_contact` is in nanoseconds."""

    index: int = 0
    known_leader: bool = False
    last_contact: int = 0
    next_token: str = ""
    scheduler_config: SchedulerConfiguration = SchedulerConfiguration()


class SchedulerUpdate(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Answer to a write of them. `updated` is False when cas lost."""

    index: int = 0
    updated: bool = False


class AutopilotConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Of autopilot, in the order of today's servers, which is not sorted."""

    last_contact_threshold: Duration = "0s"
    server_stabilization_time: Duration = "0s"
    cleanup_dead_servers: bool = False
    max_trailing_logs: Uint64 = 0
    min_quorum: Uint64 = 0
    enable_redundancy_zones: bool = False
    disable_upgrade_migration: bool = False
    enable_custom_upgrades: bool = False
    create_index: Index = 0
    modify_index: Index = 0
