"""`quorate operator audit list` (docs/audit.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from quorate.cli.context import Context, doing
from quorate.cli.text.tables import format_noted
from quorate.client import AuditLog, AuditRecord

HEADING: Final = ("Time", "Who", "What", "Object", "From", "Outcome", "Index", "Note")
COUNT: Final = 50
NOTHING: Final = "-"
OPERATOR: Final = "operator"
OF_CALLERS: Final = frozenset({"act", "refusal", "restore", "setting"})


def run(context: Context) -> int:
    """The newest records, as the server asked has them."""
    flags = context.flags
    context.check_template()
    with context.client() as client, doing("Error reading the audit log: "):
        found = client.audit(lane=flags.text("lane"), count=flags.number("count", COUNT))
    return context.show(found.raw, lambda: _show(context, found))


def _show(context: Context, found: AuditLog) -> None:
    rows = [_row(each) for each in found.records]
    if not rows:
        context.out.line("No audit records")
        return
    context.out.table(format_noted([HEADING, *rows], context.out.width, key=0, none=NOTHING))
    context.out.line(f"\nHead {found.head or '(none)'} at index {found.index}")
    if found.waiting:
        context.out.line(f"{found.waiting} records of this server wait for a leader")


def _row(record: AuditRecord) -> tuple[str, ...]:
    note = [
        "by force" if record.force else "",
        f"{record.count} times" if record.count > 1 else "",
        record.cause,
        *(f"{name}={text}" for name, text in record.details),
    ]
    return (
        time_of(record.time),
        who(record) or NOTHING,
        record.what,
        record.subject or NOTHING,
        record.address or NOTHING,
        " ".join(record.outcome.split()) or NOTHING,
        str(record.index),
        "; ".join(filter(None, note)) or NOTHING,
    )


def who(record: AuditRecord) -> str:
    """The caller: name and accessor of its token, or what wrote by itself.

    While access control is off all callers are one: the operator.
    """
    if not record.accessor:
        return record.name or (OPERATOR if record.kind in OF_CALLERS else record.by)
    return f"{record.name} ({record.accessor[:8]})" if record.name else record.accessor


def time_of(time_ms: int) -> str:
    """A time in UTC; empty for what is none."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""
