"""Lists and `Key = value` blocks for people (docs/cli.md#rules).

Invariant: a cell never breaks its line, so a table has as many lines as rows whatever a server
put into a name: control characters are shown as escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = "  "
NONE = "<none>"


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns padded to their widest cell; the first row is the heading.

    All rows have as many cells as the first. No line has trailing spaces; empty cells are
    `<none>`.
    """
    cells = [[_cell(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def format_block(pairs: Iterable[tuple[str, str]]) -> str:
    """`Key = value` lines with the equal signs below each other."""
    lines = [(_cell(key), _cell(value)) for key, value in pairs]
    width = max((len(key) for key, _ in lines), default=0)
    return "\n".join(f"{key.ljust(width)} = {value}" for key, value in lines)


def word(value: bool) -> str:
    """A boolean as Go prints it."""
    return "true" if value else "false"


def _cell(text: str) -> str:
    if not text.strip():
        return NONE
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
