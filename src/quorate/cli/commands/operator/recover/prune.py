"""`operator recover prune`: what recoveries, undos and salvages have kept in a data folder."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.recovery import pruning
from quorate.recovery.looking.folders import find
from quorate.recovery.looking.summary import Kind
from quorate.recovery.pruning import Kept

_DAY_S = 24 * 3600


def prune(context: Context) -> int:
    """List the folders; remove those that are named."""
    names = [each for each in context.flags.text("remove").split(",") if each]
    with doing(""):
        folder = find(folder_named(context.flags.args[0]))
        if folder.kind is Kind.NOMAD:
            raise Failure(f"{folder.root} is a real Nomad server's, whose files are only read here")
        kept = pruning.kept_in(folder)
        going = pruning.chosen(kept, names)
        if going:
            pruning.remove(folder, going)
    out = context.out
    for each in going:
        out.line(f"Removed {each.path}, {each.size} bytes ({each.what})")
    if going:
        size = sum(each.size for each in going)
        out.line(f"Removed in all: {len(going)}, {size} bytes")
    left = [each for each in kept if each not in going]
    if not left:
        more = " any more" if going else ""
        out.line(f"Nothing of earlier times is kept here{more}")
        return 0
    now = time.time()
    rows = [("Name", "Age", "Bytes", "What"), *(_row(each, now) for each in left)]
    out.table(format_table(rows))
    if names and not going:
        out.line("\nNothing was removed: the folder that an undo needs goes by its name alone")
    if not names:
        out.line("\nNothing was removed. To remove: -remove=NAME,... or -remove=all")
    return 0


def _row(each: Kept, now: float) -> tuple[str, ...]:
    days = int((now - each.at) // _DAY_S)
    age = f"{days}d" if days > 0 else datetime.fromtimestamp(each.at, UTC).strftime("%H:%M UTC")
    what = f"{each.what}; undo needs it" if each.by_undo else each.what
    return each.path.name, age, str(each.size), what
