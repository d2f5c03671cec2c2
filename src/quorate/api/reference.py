"""Tables of endpoints in docs: `python -m quorate.api.reference docs/http-api.md docs/acl.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from quorate.acl.capability import Capability
from quorate.api.endpoint import ANY, KIB, Consistency, Endpoint, Forwarding
from quorate.api.endpoints.table import TABLE

CAPABILITIES_BEGIN: Final = "<!-- Made by `python -m quorate.api.reference docs/acl.md`. -->\n"
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
    if row.forwarding is Forwarding.SERVER:
        return "the server asked, or that of `server_id`, in the region asked for"
    region = row.forwarding is Forwarding.REGION
    where = "the server asked, in the region asked for" if region else "the server asked"
    return f"{where}; control socket only" if row.control_only else where


def capabilities() -> str:
    """Each capability with the endpoints that need it, as a table in Markdown."""
    lines = [f"| `{each}` | {_needed_for(each)} |\n" for each in Capability if each != "none"]
    return "| capability | needed for |\n|---|---|\n" + "".join(lines)


def _needed_for(capability: Capability) -> str:
    rows = (row for row in TABLE if row.capability is capability and row.listed)
    return ", ".join(sorted(f"`{'/'.join(row.methods)} {row.shown_path}`" for row in rows))


def rewritten(page: str) -> str:
    """The page with a new table. Raises ValueError if a mark is missing."""
    for mark, table in ((BEGIN, reference), (CAPABILITIES_BEGIN, capabilities)):
        head, begin, rest = page.partition(mark)
        _, end, tail = rest.partition(END)
        if begin and end:
            return f"{head}{begin}{table()}{end}{tail}"
    raise ValueError("a mark of the table of endpoints is missing")


if __name__ == "__main__":
    for target in map(Path, sys.argv[1:]):
        target.write_text(rewritten(target.read_text()))
