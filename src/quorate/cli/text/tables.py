"""Lists and `Key = value` blocks for people (docs/cli.md#rules).

Invariant: a cell never breaks its line, so a table has as many lines as rows whatever a server
put into a name: control characters are shown as escapes.
"""

from __future__ import annotations

import textwrap
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


def format_noted(rows: Sequence[Sequence[str]], width: int | None, *, key: int, none: str) -> str:
    """A table whose last column says something about the row.

    Where it is wider than `width`, what is said stands below, behind the row's cell in the column
    `key`; `none` is a cell that says nothing. Without a width it is a table as any other.
    """
    table = format_table(rows)
    if width is None or _widest(table) <= width:
        return table
    notes = [
        textwrap.fill(
            _cell(f"{row[key]}: {row[-1]}"), width, subsequent_indent=GAP, break_on_hyphens=False
        )
        for row in rows[1:]
        if row[-1] != none
    ]
    return "\n".join([format_table([row[:-1] for row in rows]), "", *notes])


def format_split(rows: Sequence[Sequence[str]], width: int | None, *, key: int) -> str:
    """A table; where it is wider than `width`, several, which all begin with the column `key`."""
    table = format_table(rows)
    if width is None or _widest(table) <= width:
        return table
    columns = list(zip(*rows, strict=True))
    keys = columns.pop(key)
    parts: list[list[tuple[str, ...]]] = [[keys]]
    for column in columns:
        wider = [*parts[-1], column]
        if len(parts[-1]) > 1 and _widest(format_table(list(zip(*wider, strict=True)))) > width:
            wider = [keys, column]
            parts.append(wider)
        parts[-1] = wider
    return "\n\n".join(format_table(list(zip(*part, strict=True))) for part in parts)


def _widest(table: str) -> int:
    return max(map(len, table.splitlines()))


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
