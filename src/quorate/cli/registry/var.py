"""The commands below `var` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.var."
USAGE = "[options] <path>"
ONE = "This command takes one argument: <path>"
TEMPLATE = Flag("template", "string", "Go template for -out=go-template, or @file.", "template")
CHECK_INDEX = Flag(
    "check-index",
    "uint",
    "Only if the variable still has this modify index; 0: only if there is none.",
    "index",
)


def _out(*forms: str, default: str) -> Flag:
    shown = ", ".join(forms)
    return Flag("out", "string", f"Form: {shown}. Default {default} on a terminal, else json.",
                "form", forms)  # fmt: skip


VAR = (
    Command(
        ("var", "get"),
        "Show a variable",
        "Shows a variable with its items, or the value of one item alone.",
        MODULE + "looking:get",
        (
            Flag("item", "string", "Only the value of this item, without a line end.", "key"),
            _out("go-template", "hcl", "json", "none", "table", default="table"),
            TEMPLATE,
        ),
        (
            Example("quorate var get app/db", "all of it"),
            Example("quorate var get -item=password app/db", "one value, for a script"),
        ),
        args=(1, 1),
        args_text=ONE,
        usage=USAGE,
    ),
    Command(
        ("var", "list"),
        "List variables",
        "Lists variables without their items, sorted by namespace and path; with an argument those "
        "whose paths begin so. -namespace=* lists those of all namespaces.",
        MODULE + "looking:list_all",
        (
            Flag("per-page", "uint", "Variables on one page.", "number"),
            Flag("page-token", "string", "The page that begins here.", "token"),
            Flag("filter", "string", "Expression that chooses rows.", "expression"),
            _out("go-template", "json", "table", "terse", default="table"),
            TEMPLATE,
        ),
        (
            Example("quorate var list app/", "what begins with app/"),
            Example("quorate var list -filter='Path contains \"db\"' -out=terse", "paths alone"),
        ),
        args=(0, 1),
        args_text="This command takes flags and either no arguments or one: <prefix>",
        usage="[options] [<prefix>]",
    ),
    Command(
        ("var", "put"),
        "Write a variable",
        "Writes a variable whole, of key=value arguments or of a file (@file, or - for what is "
        "piped in). A value @file is the content of that file. Without -check-index and -force the "
        "variable is written only if there is none, or if it still has the modify index that the "
        "file names.",
        MODULE + "changing:put",
        (
            CHECK_INDEX,
            Flag("force", "bool", "Write whatever is there."),
            Flag("in", "string", "Form of what is piped in, or of a file whose name does not end "
                 "in .json or .hcl.", "form", ("hcl", "json")),
            _out("go-template", "hcl", "json", "none", "table", default="none"),
            TEMPLATE,
            Flag("verbose", "bool", "Say what was done also where the variable is printed."),
        ),
        (
            Example("quorate var put app/db user=app password=@secret.txt", "a new one"),
            Example("quorate var put -check-index=12 app/db user=app", "only if it is unchanged"),
            Example("quorate var put @spec.nv.hcl", "as a file says"),
        ),
        args=None,
        usage="[options] [<path>] [@file | - | key=value ...]",
    ),
    Command(
        ("var", "purge"),
        "Delete a variable",
        "Deletes a variable for good. One that is not there is no error.",
        MODULE + "changing:purge",
        (CHECK_INDEX,),
        (Example("quorate var purge app/db", "away with it"),),
        args=(1, 1),
        args_text=ONE,
        usage=USAGE,
    ),
    Command(
        ("var", "lock"),
        "Run a program while a lock is held",
        "Waits for the lock of a variable, runs a program while it renews the lock, and releases "
        "it when the program ends. If the lock is lost, the program is sent SIGTERM, and killed "
        "5 s later. Its environment has QUORATE_LOCK_ID and QUORATE_LOCK_FENCE. The exit code is "
        "the program's, 1 if the lock was lost.",
        MODULE + "locking:lock",
        (
            Flag("ttl", "duration", "How long the lock lives if this process dies; 10s to 24h. "
                 "Default 15s.", "duration"),
            Flag("delay", "duration", "How long nobody can hold it after that. Default 15s.",
                 "duration"),
            Flag("verbose", "bool", "Say on stderr when the lock is held, and released."),
        ),
        (Example("quorate var lock app/backup ./backup.sh", "one at a time in the cluster"),),
        args=None,
        usage="[options] <path> <program> [<argument> ...]",
    ),
    Command(
        ("var", "init"),
        "Write an example of a variable's file",
        "Writes an example of the file that var put reads; an existing file is left alone.",
        MODULE + "changing:init",
        (Flag("out", "string", "Form: hcl (default) or json.", "form", ("hcl", "json")),),
        (Example("quorate var init", "spec.nv.hcl in this folder"),),
        args=(0, 1),
        args_text="This command takes no arguments or one: <filename>",
        usage="[options] [<filename>]",
        general=False,
    ),
)  # fmt: skip
