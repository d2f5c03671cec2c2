"""`quorate operator raft compact`: the log of servers is compacted now (docs/outage.md)."""

from __future__ import annotations

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_noted
from quorate.client import Compacted, Compaction

HEADING = ("Node", "Log", "Snapshots", "Disk Free", "Note")
NOTHING = "-"
_MIB = 1 << 20


def compact(context: Context) -> int:
    """Compact one server or all; exit code 1 if one of them could not."""
    server, every = context.flags.text("server"), context.flags.on("all")
    if server and every:
        raise Failure("cannot give both -server and -all", "give one of them")
    if context.flags.args:
        raise Failure(
            f"{context.flags.args[0]}: this command takes no arguments: it asks servers that run",
            "a stopped server is compacted when it runs again (docs/outage.md)",
        )
    context.check_template()
    with context.client() as client, doing("Error compacting: "):
        found = client.compact(server=server, every=every)
    context.show(found.raw, lambda: _show(context, found))
    failed = [each for each in found.servers if each.error]
    if failed:
        first = failed[0]
        name = f"{first.node or '(unknown)'} ({first.id})"
        raise Failure(f"{name} could not be compacted: {first.error}", first.next)
    return 0


def _show(context: Context, found: Compaction) -> None:
    rows = [_row(each) for each in found.servers]
    context.out.table(format_noted([HEADING, *rows], context.out.width, key=0, none=NOTHING))


def _row(each: Compacted) -> tuple[str, ...]:
    if each.error and not each.log_bytes_before:
        return (each.node or each.id, NOTHING, NOTHING, NOTHING, each.error)
    return (
        each.node or each.id,
        f"{_mib(each.log_bytes_before)} -> {_mib(each.log_bytes_after)}",
        f"{_mib(each.snapshot_bytes_before)} -> {_mib(each.snapshot_bytes_after)}",
        _mib(each.disk_free_bytes),
        "; ".join(filter(None, (each.error, each.stays))) or NOTHING,
    )


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"
