"""`operator audit` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.operator.audit."

GROUP = Group(
    ("operator", "audit"),
    "Who did what, and whether a record of it was changed",
    "Shows the audit records of a cluster, and checks their chain.",
    "quorate operator audit list",
)

AUDIT = (
    Command(
        ("operator", "audit", "list"),
        "List what operators did",
        "Lists the newest records of the cluster's journal as the server of the agent asked has "
        "them, the newest first: when, who (name and accessor of the token), what, on which "
        "object, from where, and what came of it. Elections, members, settings and refusals are "
        "in it too.",
        MODULE + "listed:run",
        (
            Flag("count", "uint", "So many records; 50 without it.", "number"),
            Flag("lane", "string", "Only these: act, cluster, setting or refusal.", "lane"),
            *FORMS,
        ),
        (
            Example("quorate operator audit list", "what was done lately?"),
            Example("quorate operator audit list -lane=refusal -json", "who was refused?"),
        ),
    ),
    Command(
        ("operator", "audit", "verify"),
        "Check that no audit record was changed",
        "Computes the chain of the audit records again, over what the server of the agent asked "
        "answers, what further servers answer, and the files of an audit sink that are given. "
        "Names the first record that was changed, is missing, or differs between two of them. "
        "Exit code 0 if all is whole, 2 if a record was changed, 1 if that cannot be told.",
        MODULE + "verify:run",
        (
            Flag(
                "server",
                "list",
                "Another server, by the address of its HTTP API; may be repeated.",
                "address",
            ),
            Flag(
                "head",
                "string",
                "A head that was written down, or stands in the list of backups: the audit log of "
                "the first server must have had it.",
                "hash",
            ),
            *FORMS,
        ),
        (
            Example("quorate operator audit verify", "one server"),
            Example(
                "quorate operator audit verify -server=http://10.0.0.2:4646 audit.log",
                "two servers and the file of a sink",
            ),
        ),
        args=None,
    ),
)
