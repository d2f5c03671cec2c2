"""`quorate operator backup list|run|verify|prune` (docs/backups.md)."""

from __future__ import annotations

from datetime import UTC, datetime

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, format_table
from quorate.client import Backup, BackupList

_VERIFIED = "verified"


def list_backups(context: Context) -> int:
    """Show all as a table, and what is wrong with them."""
    with context.client() as client, doing("Error listing backups: "):
        found = client.backups(stale=context.flags.on("stale"))
    return context.show(found.raw, lambda: _print(context, found))


def run(context: Context) -> int:
    """Make one; exit code 1 unless it is verified."""
    with context.client() as client, doing("Error making a backup: "):
        made = client.run_backup()
    return _told(context, made)


def verify(context: Context) -> int:
    """Verify one once more; exit code 1 unless it is whole."""
    (name,) = context.flags.args
    with context.client() as client, doing("Error verifying a backup: "):
        found = client.verify_backup(name)
    return _told(context, found)


def prune(context: Context) -> int:
    """Delete what retention does not keep, and name it."""
    with context.client() as client, doing("Error pruning backups: "):
        gone = client.prune_backups()

    def text() -> None:
        for name in gone.deleted:
            context.out.line(f"Deleted {name}")
        if not gone.deleted:
            context.out.line("Nothing to delete")

    return context.show(gone.raw, text)


def _told(context: Context, backup: Backup) -> int:
    context.show(backup.raw, lambda: context.out.line(_block(backup)))
    if backup.status != _VERIFIED:
        raise Failure(
            f"The backup {backup.name} is not verified: {backup.why or backup.status}",
            "look at the target; then run: quorate operator backup run",
        )
    return 0


def _block(backup: Backup) -> str:
    return format_block(
        (
            ("Name", backup.name),
            ("Status", backup.status),
            ("Taken", _time(backup.time)),
            (
                "Verified" if backup.status == _VERIFIED else "Checked",
                _time(backup.verified_time),
            ),
            ("Index", str(backup.index)),
            ("Size", str(backup.size)),
            ("SHA-256", backup.sha256),
            ("Servers", f"{backup.servers} held the digest of its state"),
        )
    )


def _print(context: Context, found: BackupList) -> None:
    if not found.target:
        context.out.line("The leader has no target for backups")
        about = [("Begun from", found.restored_from), ("Problem", found.problem)]
        if told := [pair for pair in about if pair[1]]:
            context.out.line("\n" + format_block(told))
        return
    if found.backups:
        rows = [("Name", "Status", "Made by", "Size")]
        rows += [
            (row.name, row.status, "hand" if row.manual else "schedule", _size(row))
            for row in found.backups
        ]
        context.out.table(format_table(rows))
    else:
        context.out.line("No backups")
    pairs = [("Target", found.target), ("Schedule", found.schedule or "none")]
    pairs += [("Next due", _time(found.next_due * 1000))] if found.schedule else []
    pairs += [("Retain", str(found.retain)), ("Newest verified", _time(found.last_verified_time))]
    pairs += [("Failures", f"{found.failures}: {found.last_failure}")] if found.failures else []
    pairs += [("Begun from", found.restored_from)] if found.restored_from else []
    pairs += [("Problem", found.problem or "none")]
    context.out.line("\n" + format_block(pairs))


def _size(row: object) -> str:
    size = float(getattr(row, "size", 0))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _time(unix_ms: int) -> str:
    if not unix_ms:
        return "never"
    try:
        return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):  # no server of ours sends such a time
        return str(unix_ms)
