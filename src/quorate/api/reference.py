"""The table of endpoints in docs: `python -m quorate.api.reference docs/http-api.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from quorate.api.endpoint import ANY, KIB, Consistency, Endpoint, Forwarding
from quorate.api.endpoints.table import TABLE

BEGIN: Final = "<!-- Made by `python -m quorate.api.reference docs/http-api.md`. -->\n"
END: Final = "<!-- End of the table. -->\n"

_HEAD: Final = """\
| Method and path | What it does | Answered by | Capability | Body at most |
|---|---|---|---|---|
"""


def reference() -> str:
    """All endpoints as a table in Markdown."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def _line(row: Endpoint) -> str:
    methods = "any" if row.methods == ANY else ", ".join(f"`{method}`" for method in row.methods)
    path = f"`{row.shown_path}{row.parameters}`".replace("|", "\\|")
    size = f"{row.body_max // KIB} KiB{', streamed' if row.streams else ''}"
    return f"| {methods} {path} | {row.does} | {_answers(row)} | `{row.capability}` | {size} |\n"


def _answers(row: Endpoint) -> str:
    if row.consistency is Consistency.LINEARIZABLE:
        return "leader"
    if row.consistency is Consistency.STALE_ALLOWED:
        return "leader; any server with `stale`"
    region = row.forwarding is Forwarding.REGION
    where = "the server asked, in the region asked for" if region else "the server asked"
    return f"{where}; control socket only" if row.control_only else where


def rewritten(page: str) -> str:
    """The page with a new table. Raises ValueError if a mark is missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("a mark of the table of endpoints is missing")
    return f"{head}{begin}{reference()}{end}{tail}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text()))
