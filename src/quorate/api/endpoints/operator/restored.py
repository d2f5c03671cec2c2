"""The report of a restore, as the API tells it."""

from __future__ import annotations

from quorate.server.archive.replacing import Report
from quorate.shapes.operator import RestoredTable, RestoreReport


def shown(report: Report) -> RestoreReport:
    """The report in its shape."""
    return RestoreReport(
        id=report.meta.id,
        index=report.index,
        safety_snapshot=report.safety,
        tables=tuple(
            RestoredTable(
                table=change.table,
                rule=change.rule or change.on_restore.value,
                added=change.added,
                changed=change.changed,
                deleted=change.deleted,
                same=change.same,
            )
            for change in report.changes
        ),
    )
