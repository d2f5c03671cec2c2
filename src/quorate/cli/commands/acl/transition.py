"""`quorate acl transition` (docs/acl.md#from-none-to-acl)."""

from __future__ import annotations

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, format_table, word
from quorate.client.calls.acl import AclTransition


def transition(context: Context) -> int:
    """Show how it stands, end it on all servers, or go back."""
    flags = context.flags
    if flags.on("end") and flags.on("resume"):
        raise Failure("Give either -end or -resume, not both")
    with context.client() as client:
        if flags.on("end") or flags.on("resume"):
            with doing("Error changing the transition: "):
                client.end_acl_transition(ended=flags.on("end"))
            context.out.line(
                "The transition has ended on all servers: what a token does not allow is refused"
                if flags.on("end")
                else "The configuration of each server decides again: acl { transition }"
            )
            return 0
        with doing("Error reading the transition: "):
            found = client.acl_transition()
    return context.show(found.raw, lambda: context.out.line(_shown(found)))


def _shown(found: AclTransition) -> str:
    block = format_block(
        [
            ("Configured", word(found.configured)),
            ("Ended", word(found.ended)),
            ("In Force", word(found.in_force)),
            ("Requests", str(found.requests)),
        ]
    )
    if not found.callers:
        return block
    callers = sorted(found.callers.items(), key=lambda each: (-each[1], each[0]))
    rows = [(name, str(count)) for name, count in callers]
    return f"{block}\n\nWould be refused\n{format_table([('Accessor ID', 'Requests'), *rows])}"
