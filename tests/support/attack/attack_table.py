"""The table of attacks in docs/security.md: read by a test, written by `make attack`."""

from __future__ import annotations

from typing import NamedTuple

from attack_list import ATTACKS
from places import DOCS

SECURITY = DOCS / "security.md"
HEAD = (
    "| attack | port | the first version | callback, ms | leader changes | memory, MB "
    "| descriptors | log, KiB | answered | failed | gap, ms | control, ms |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)
_FIRST = 2  # lines above the rows


class Row(NamedTuple):
    """One attack; times are milliseconds of the worst moment."""

    name: str
    port: str
    before: str
    callback_ms: float
    leader_changes: int
    memory_mb: float
    descriptors: int
    log_kib: float
    answers: int
    failed: int
    gap_ms: float
    control_gap_ms: float

    def __str__(self) -> str:
        """As in the table."""
        cells = [
            self.name,
            self.port,
            self.before,
            f"{self.callback_ms:.1f}",
            str(self.leader_changes),
            f"{self.memory_mb:.0f}",
            str(self.descriptors),
            f"{self.log_kib:.1f}",
            str(self.answers),
            str(self.failed),
            f"{self.gap_ms:.0f}",
            f"{self.control_gap_ms:.0f}",
        ]
        return f"| {' | '.join(cells)} |"


def rows() -> list[Row]:
    """What stands in the table."""
    return [_row(line) for line in _table()[1]]


def write(measured: dict[str, Row]) -> None:
    """Put these rows in, in the order of the suite; those of attacks that are gone go."""
    before, old, after = _table()
    known = {row.name: row for row in map(_row, old)} | measured
    lines = [str(known[name]) for name in ATTACKS if name in known]
    SECURITY.write_text("\n".join([*before, *lines, *after]))


def _table() -> tuple[list[str], list[str], list[str]]:
    """The lines before the rows, the rows, and the lines behind them."""
    lines = SECURITY.read_text().split("\n")
    start = next(n for n, line in enumerate(lines) if line == HEAD.partition("\n")[0]) + _FIRST
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("| "))
    return lines[:start], lines[start:end], lines[end:]


def _row(line: str) -> Row:
    name, port, before, *numbers = [cell.strip() for cell in line.strip("| ").split(" | ")]
    values = [float(number) for number in numbers]
    return Row(
        name,
        port,
        before,
        values[0],
        int(values[1]),
        values[2],
        int(values[3]),
        values[4],
        int(values[5]),
        int(values[6]),
        *values[7:],
    )
