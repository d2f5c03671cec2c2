"""`quorate operator autopilot ...` (docs/cli.md#commands)."""

from __future__ import annotations

from typing import Any

import msgspec

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_split, word
from quorate.client import AutopilotConfiguration, OperatorHealth, StatusError
from quorate.client.calls.call import decode as decode_answer

_HEALTH = (
    "ID",
    "Name",
    "Address",
    "SerfStatus",
    "Version",
    "Leader",
    "Voter",
    "Healthy",
    "LastContact",
    "LastTerm",
    "LastIndex",
    "StableSince",
)
UNHEALTHY = 429
NOT_HEALTHY = 2
HEALTH = "/v1/operator/autopilot/health"
LOST_RACE = "Configuration could not be atomically updated, please try again"


def get_config(context: Context) -> int:
    """Show the settings, one `Key = value` a line, in the order of the API."""
    with context.client() as client, doing("Error querying Autopilot configuration: "):
        found = client.autopilot_configuration(stale=context.flags.on("stale"))
    return context.show(found.raw, lambda: context.out.line(_block(found)))


def _block(found: AutopilotConfiguration) -> str:
    pairs = (
        ("CleanupDeadServers", word(found.cleanup_dead_servers)),
        ("LastContactThreshold", found.last_contact_threshold),
        ("MaxTrailingLogs", str(found.max_trailing_logs)),
        ("MinQuorum", str(found.min_quorum)),
        ("ServerStabilizationTime", found.server_stabilization_time),
        ("EnableRedundancyZones", word(found.enable_redundancy_zones)),
        ("DisableUpgradeMigration", word(found.disable_upgrade_migration)),
        ("EnableCustomUpgrades", word(found.enable_custom_upgrades)),
    )
    return "\n".join(f"{key} = {value}" for key, value in pairs)


def health(context: Context) -> int:
    """Show how the servers do; exit code 2 if one is not healthy."""
    with context.client() as client, doing("Error querying Autopilot configuration: "):
        try:
            found = client.autopilot_health()
        except StatusError as error:
            if error.status != UNHEALTHY:
                raise
            found = decode_answer(HEALTH, error.body.encode(), OperatorHealth)
    context.show(found.raw, lambda: context.out.line(_health(found, context.out.width)))
    if not context.quiet():
        for warning in found.warnings:
            context.out.error(f"warning: {warning}")
    if found.healthy:
        return 0
    ill = [each.name or each.id for each in found.servers or () if not each.healthy]
    raise Failure(
        f"The cluster is not healthy: {', '.join(ill) or 'no server says why'}",
        "see what each server sees: quorate operator raft views",
        NOT_HEALTHY,
    )


def _health(found: OperatorHealth, width: int | None) -> str:
    rows = [
        (
            each.id,
            each.name,
            each.address,
            each.serf_status,
            each.version,
            word(each.leader),
            word(each.voter),
            word(each.healthy),
            each.last_contact,
            str(each.last_term),
            str(each.last_index),
            each.stable_since,
        )
        for each in found.servers or ()
    ]
    lines = [
        f"Healthy: {word(found.healthy)}",
        f"FailureTolerance: {found.failure_tolerance}",
        f"Leader: {found.leader}",
        "Voters:  ",
        *(f"\t{voter}" for voter in found.voters),
        "Servers: ",
        format_split([_HEALTH, *rows], width, key=_HEALTH.index("Name")),
    ]
    return "\n".join(lines)


def set_config(context: Context) -> int:
    """Change the settings that were given, unless another operator changed them meanwhile."""
    with context.client() as client:
        with doing("Error querying for Autopilot configuration: "):
            found = client.autopilot_configuration()
        wanted = msgspec.structs.replace(found, **_changes(context))
        with doing("Error setting Autopilot configuration: "):
            written = client.set_autopilot_configuration(wanted, cas=found.modify_index)
    if not written:
        raise Failure(LOST_RACE)
    context.out.line("Configuration updated!")
    return 0


def _changes(context: Context) -> dict[str, Any]:
    """The given options by the names of their fields, which they share."""
    fields = {flag.name: flag.name.replace("-", "_") for flag in context.command.flags}
    given = context.flags.values
    return {field: given[flag] for flag, field in fields.items() if flag in given}
