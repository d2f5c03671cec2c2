"""The commands below `operator snapshot` (docs/snapshots.md)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.snapshot."

GROUP = Group(
    ("operator", "snapshot"),
    "The replicated state as a file",
    "Saves the state of the cluster as an archive, shows what is in one, and restores it.",
    "quorate operator snapshot save backup.snap",
)

_FILE = "This command takes one argument: <filename>"

SNAPSHOT = (
    Command(
        ("operator", "snapshot", "save"),
        "Save the state of the cluster to a file",
        "Saves the replicated state as an archive, of the moment of the call. The file has its "
        "name only when all of it has come, its sums and its content were checked, and it is "
        "durable; until then it is called <filename>.tmp. It can be read by its owner alone: it "
        "holds all that the cluster keeps. Without a name it is nomad-state-DATE-TIME.snap. A file "
        "that is there is not replaced.",
        MODULE + "save:save",
        (
            Flag(
                "stale",
                "bool",
                "Save what this agent alone has: answered without a leader too, but it may be "
                "behind.",
            ),
            Flag("redact", "bool", "Leave out root keys and the texts of values: see redact."),
        ),
        (
            Example("quorate operator snapshot save backup.snap", "before an upgrade"),
            Example(
                "quorate operator snapshot save -stale -address=http://10.0.0.2:4646 last.snap",
                "what this server has, now that there is no leader",
            ),
            Example("quorate operator snapshot save -redact for-support.snap", "to hand it out"),
        ),
        args=(0, 1),
        args_text="This command takes either no arguments or one: <filename>",
        usage="[options] [<filename>]",
    ),
    Command(
        ("operator", "snapshot", "inspect"),
        "Show what an archive holds",
        "Checks the whole archive, and shows its index and term, and the number and bytes of the "
        "records of each type in it. No agent is asked.",
        MODULE + "inspect:inspect",
        FORMS,
        (
            Example("quorate operator snapshot inspect backup.snap", "is it whole?"),
            Example(
                "quorate operator snapshot inspect -t '{{.Meta.Index}}' backup.snap",
                "only the index, for a program",
            ),
        ),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <filename>",
        general=False,
    ),
    Command(
        ("operator", "snapshot", "state"),
        "Show the records in an archive",
        "Checks the whole archive, then shows each record in it as a line of JSON. Values of "
        "variables, keys and secrets are shown by their size. Archives of Nomad 1.4 to 1.6 are "
        "read too. No agent is asked.",
        MODULE + "state:state",
        (
            Flag("type", "string", "Only records of this type, as inspect names it.", "name"),
            Flag(
                "filter",
                "string",
                "Only records that fit, by Type, Key and Value.<name>; as of a list of variables.",
                "expression",
            ),
        ),
        (
            Example(
                "quorate operator snapshot state -type=variables backup.snap",
                "which variables does it hold?",
            ),
            Example(
                "quorate operator snapshot state -type=variables "
                "-filter='Value.path matches \"^app/\"' backup.snap",
                "those below app/",
            ),
        ),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <filename>",
        general=False,
    ),
    Command(
        ("operator", "snapshot", "redact"),
        "Take the secrets out of an archive",
        "Replaces an archive by one without root keys and without the texts of values, of the same "
        "form: it can be inspected, and its records can be shown, but it cannot be restored. With "
        "-out the file stays, and the other one is new. No agent is asked.",
        MODULE + "redact:redact",
        (Flag("out", "string", "Write to this new file instead.", "filename"),),
        (
            Example(
                "quorate operator snapshot redact -out=for-support.snap backup.snap",
                "to hand it out",
            ),
        ),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <filename>",
        general=False,
    ),
    Command(
        ("operator", "snapshot", "restore"),
        "Restore the state of the cluster from a file",
        "Puts the state of an archive in place of the cluster's, while it runs. Members, the "
        "cluster's ID and level, and the journal stay; root keys of both are kept, and tokens that "
        "were deleted since stay so. The leader saves the state before it into its data folder "
        "first. Writes to what may change are refused for that time. An archive of another cluster "
        "is refused without -force, one of a newer feature level always.",
        MODULE + "restore:restore",
        (
            Flag("dry-run", "bool", "Show what would change in each table, and change nothing."),
            Flag("force", "bool", "Restore an archive of another cluster too."),
            Flag("keep-acl", "bool", "Leave tokens, policies and roles as they are."),
            Flag("verbose", "bool", "Show what has changed in each table."),
            *FORMS,
        ),
        (
            Example("quorate operator snapshot restore -dry-run backup.snap", "what would change?"),
            Example("quorate operator snapshot restore backup.snap", "back to that state"),
            Example(
                "quorate operator snapshot restore -force backup.snap",
                "into a new cluster, after the loss of the old one",
            ),
        ),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <filename>",
    ),
)
