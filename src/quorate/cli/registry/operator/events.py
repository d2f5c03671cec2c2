"""`operator events` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import Command, Example
from quorate.cli.flags import Flag

EVENTS = (
    Command(
        ("operator", "events"),
        "Show what changes, as it changes",
        "Prints what the agent's server remembers of changes, and then each change as it comes, "
        "until Ctrl-C: namespaces, variables (never their values), and what happens to the "
        "cluster: elections with their cause, members, settings, operators' acts. Where events "
        "may be missing a line says so.",
        "quorate.cli.commands.operator.events:run",
        (
            Flag(
                "topic",
                "list",
                "Only these: Namespace, Variable or Operator, with a key if wanted; may be "
                "repeated.",
                "topic[:key]",
            ),
            Flag("index", "uint", "Begin with the event of this index.", "index"),
            Flag("json", "bool", "Each event as JSON, one a line."),
        ),
        (
            Example("quorate operator events -topic=Operator", "what happens to the cluster?"),
            Example("quorate operator events -json -index=4012", "go on, in a program"),
        ),
    ),
)
