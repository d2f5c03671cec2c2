"""`operator snapshot restore`: the archive is checked here before it is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from quorate.cli.commands.snapshot.file import opened, reason
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.progress import Progress
from quorate.cli.text.tables import format_table
from quorate.client import RequestError, RestoreReport

_UNKNOWN: Final = (
    "the restore is carried out or has changed nothing; see whether a table other than root_keys "
    "would still change: quorate operator snapshot restore -dry-run"
)
_PIECE_BYTES: Final = 256 << 10


def restore(context: Context) -> int:
    """Send the archive; the servers check it whole before anything changes."""
    flags = context.flags
    dry_run, force = flags.on("dry-run"), flags.on("force")
    details = dry_run or flags.on("verbose") or flags.on("json") or "t" in flags.values
    name = flags.args[0]
    before = "Error opening snapshot file: "
    with opened(name, before, quoted=True, stream=False) as file, context.client() as client:
        size = os.fstat(file.fileno()).st_size
        if force and not dry_run:
            region = f" in region {client.region}" if client.region else ""
            context.out.stderr.write(
                f"Replacing the state of the cluster of {client.address}{region} by {name}\n"
            )
            context.out.stderr.flush()
        with doing("Failed to get restore snapshot: "):
            try:
                with Progress(context.out, "Sending", quiet=context.quiet()) as progress:
                    pieces = _pieces(file, size, progress)
                    report = client.restore_snapshot(
                        *(pieces, size),
                        force=force,
                        dry_run=dry_run,
                        details=True,
                        keep_acl=flags.on("keep-acl"),
                    )
            except RequestError as error:
                if file.tell() and not dry_run:
                    error.next_step = _UNKNOWN
                raise
    if report is None:
        context.out.line("Snapshot Restored")
        return 0
    if not details:
        context.out.line("Snapshot Restored")
        _print_safety(context, report)
        return 0
    return context.show(report.raw, lambda: print_report(context, report))


def _pieces(file: BinaryIO, size: int, progress: Progress) -> Iterator[bytes]:
    try:
        while piece := file.read(_PIECE_BYTES):
            yield piece
            progress.moved(len(piece), size)
        progress.say("all is sent; the cluster checks and restores it")
    except OSError as error:
        raise Failure(f"Error reading snapshot file: {reason(error)}") from error


def print_report(context: Context, report: RestoreReport) -> None:
    """What a restore has changed, or would, by table."""
    rows: list[tuple[str, ...]] = [("Table", "Rule", "Added", "Changed", "Deleted", "Same")]
    for table in report.tables:
        counts = (table.added, table.changed, table.deleted, table.same)
        rows.append((table.table, table.rule, *map(str, counts)))
    context.out.table(format_table(rows))
    if not report.index:
        context.out.line("\nNothing was changed")
        return
    context.out.line(f"\nSnapshot Restored at index {report.index}")
    _print_safety(context, report)


def _print_safety(context: Context, report: RestoreReport) -> None:
    if report.safety_snapshot:
        context.out.line(f"The state before it is on the leader: {report.safety_snapshot}")
