"""The commands below `namespace` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.namespace."
ONE = "This command takes one argument: <namespace>"
USAGE = "[options] <namespace>"

NAMESPACE = (
    Command(
        ("namespace", "list"),
        "List the namespaces",
        "Lists the namespaces with their descriptions, sorted by name.",
        MODULE + "looking:list_all",
        FORMS,
        (Example("quorate namespace list", "which are there?"),),
    ),
    Command(
        ("namespace", "status"),
        "Show a namespace",
        "Shows one namespace: description, quota, task drivers, meta data. The beginning of its "
        "name is enough where only one begins so.",
        MODULE + "looking:status",
        FORMS,
        (Example("quorate namespace status team", "what is said of it?"),),
        args=(1, 1),
        args_text=ONE,
        usage=USAGE,
    ),
    Command(
        ("namespace", "inspect"),
        "Show a namespace as JSON",
        "Shows all fields of one namespace as JSON, or by a template. The beginning of its name "
        "is enough where only one begins so.",
        MODULE + "looking:inspect",
        FORMS,
        (Example("quorate namespace inspect -t '{{.Meta}}' team", "only its meta data"),),
        args=(1, 1),
        args_text=ONE,
        usage=USAGE,
    ),
    Command(
        ("namespace", "apply"),
        "Make or change a namespace",
        "Makes a namespace, or changes one. With a name, the options that are given are changed "
        "and all else stays. With a file (or - for what is piped in), the file says all of it.",
        MODULE + "changing:apply",
        (
            Flag("description", "string", "Description, for people.", "text"),
            Flag("quota", "string", "Quota; has no effect on servers of Quorate.", "name"),
            Flag("json", "bool", "The file is JSON; otherwise it is HCL."),
        ),
        (
            Example("quorate namespace apply -description='of the team' team", "by name"),
            Example("quorate namespace apply team.hcl", "by a file"),
        ),
        args=(1, 1),
        args_text="This command takes one argument: <input>",
        usage="[options] <name, file or ->",
    ),
    Command(
        ("namespace", "delete"),
        "Delete a namespace",
        "Deletes a namespace. One that holds variables is not deleted, nor is default; one that "
        "is not there is no error.",
        MODULE + "changing:delete",
        (),
        (Example("quorate namespace delete team", "it is no longer used"),),
        args=(1, 1),
        args_text=ONE,
        usage=USAGE,
    ),
)
