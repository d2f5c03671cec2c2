"""`quorate operator backup restore` (docs/backups.md#by-hand)."""

from __future__ import annotations

from quorate.cli.commands.snapshot.restore import print_report
from quorate.cli.context import Context, doing


def restore(context: Context) -> int:
    """Have the leader restore a backup from its target."""
    flags = context.flags
    (name,) = flags.args
    with context.client() as client, doing("Error restoring a backup: "):
        report = client.restore_backup(
            name,
            force=flags.on("force"),
            dry_run=flags.on("dry-run"),
            keep_acl=flags.on("keep-acl"),
        )
    return context.show(report.raw, lambda: print_report(context, report))
