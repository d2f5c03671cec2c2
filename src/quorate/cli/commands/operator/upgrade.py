"""`quorate operator upgrade check`: which versions run, and what the feature level waits for."""

from __future__ import annotations

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_noted
from quorate.client import UpgradeCheck, UpgradeServer

HEADING = ("Restart", "Node", "Version", "Level", "Role", "Note")
WAITS = 2
NOTHING = "-"


def check(context: Context) -> int:
    """Show it; exit code 2 if it is no time to restart a server, or one holds the level back."""
    with context.client() as client, doing("Error checking the upgrade: "):
        found = client.upgrade_check()
    context.show(found.raw, lambda: _show(context, found))
    stopped = [server for server in found.servers if server.held]
    if stopped:
        raise Failure(
            f"{stopped[0].node} has stopped applying the log",
            "upgrade it to the version of the leader",
            WAITS,
        )
    if not any(server.leader for server in found.servers):
        raise Failure(
            "No server leads",
            "restart none; see which voters are missing: quorate operator raft views",
            WAITS,
        )
    below = [server for server in found.servers if server.waits]
    if found.level == found.goal and below:
        raise Failure(
            f"{below[0].node} is below the cluster's feature level {found.level}",
            f"upgrade it: {found.may_mix} may take part",
            WAITS,
        )
    if found.level < found.goal:
        raise Failure(
            f"The cluster is of feature level {found.level}, its servers know up to {found.goal}",
            "upgrade the servers that the notes name; if none is named, check again in a moment",
            WAITS,
        )
    silent = [server for server in found.servers if server.error]
    if silent:
        raise Failure(
            f"{silent[0].node or silent[0].id} does not answer: {silent[0].error}",
            "bring it back, or remove it, before you restart another one",
            WAITS,
        )
    return 0


def _show(context: Context, found: UpgradeCheck) -> None:
    context.out.line(f"Feature level  {found.level} of {found.goal}")
    context.out.line(f"May be mixed   {found.may_mix}")
    context.out.line("")
    rows = [_row(place, server) for place, server in enumerate(found.servers, start=1)]
    context.out.table(format_noted([HEADING, *rows], context.out.width, key=1, none=NOTHING))


def _row(place: int, server: UpgradeServer) -> tuple[str, ...]:
    role = "leader" if server.leader else "voter" if server.voter else "non-voter"
    level = NOTHING if server.level is None else str(server.level)
    note = server.held or server.waits or server.error
    version = server.version or ("before levels" if server.level == 0 else NOTHING)
    return (str(place), server.node, version, level, role, note or NOTHING)
