"""`quorate var put`, `quorate var purge` and `quorate var init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quorate.cli.commands.api import read_piped
from quorate.cli.commands.var.forms import (
    FILE_BYTES_MAX,
    chosen,
    help_line,
    moment,
    read_file,
    shown,
)
from quorate.cli.commands.var.spec import Spec, parsed
from quorate.cli.context import Context, Failure, doing
from quorate.client import VariableConflict

WILDCARD = "*"
EXAMPLES = {
    "hcl": """# A variable for: quorate var put @{name}

path = "app/db"
# namespace = "default"

# To write only if it is unchanged since it was read:
# modify_index = 12

items {{
  user     = "app"
  password = "change-me"
}}
""",
    "json": """{{
  "Path": "app/db",
  "Items": {{
    "user": "app",
    "password": "change-me"
  }}
}}
""",
}


def put(context: Context) -> int:
    """Write a variable, of a file and of key=value arguments."""
    flags = context.flags
    form = chosen(context, ("go-template", "hcl", "json", "none", "table"), "none")
    if flags.on("force") and "check-index" in flags.values:
        raise Failure(
            "Give either -force or -check-index, not both: -force writes whatever the index is\n"
            f"{help_line(context)}"
        )
    spec = _spec(context)
    with context.client() as client:
        namespace = client.namespace or spec.namespace
        if namespace == WILDCARD:
            raise Failure('The wildcard namespace ("*") is not valid for this command.')
        cas = None if flags.on("force") else flags.number("check-index", spec.modify_index)
        with doing("Error creating variable: "):
            try:
                made = client.variables.put(spec.path, spec.items, cas=cas, namespace=namespace)
            except VariableConflict as conflict:
                raise Failure(_lost(cas or 0, conflict, "add the -force or ")) from conflict
    if form in {"none", "table"} or flags.on("verbose"):
        verb = "Created" if made.create_index == made.modify_index else "Updated"
        said = f'{verb} variable "{made.path}" with modify index {made.modify_index}'
        if form in {"none", "table"}:
            context.out.line(said)
        else:
            context.out.stderr.write(said + "\n")
    shown(context, form, made)
    return 0


def purge(context: Context) -> int:
    """Delete a variable."""
    path, cas = context.flags.args[0], None
    if "check-index" in context.flags.values:
        cas = context.flags.number("check-index")
    with context.client() as client, doing("Error purging variable: "):
        if client.namespace == WILDCARD:
            raise Failure('The wildcard namespace ("*") is not valid for this command.')
        try:
            client.variables.delete(path, cas=cas)
        except VariableConflict as conflict:
            raise Failure(_lost(cas or 0, conflict, "leave it out or add the ")) from conflict
    context.out.line(f'Successfully purged variable "{path}"!')
    return 0


def init(context: Context) -> int:
    """Write an example file."""
    form = context.flags.text("out") or "hcl"
    if form not in EXAMPLES:
        raise Failure(
            f'Invalid value for "-out"; valid values are [hcl, json]\n{help_line(context)}'
        )
    name = context.flags.args[0] if context.flags.args else f"spec.nv.{form}"
    try:
        with Path(name).open("x", encoding="utf-8") as file:
            file.write(EXAMPLES[form].format(name=name))
    except FileExistsError:
        raise Failure(f'File "{name}" already exists') from None
    except (OSError, ValueError) as error:
        raise Failure(f'Failed to write "{name}": {error}') from error
    context.out.line(f"Example variable specification written to {name}")
    return 0


def _spec(context: Context) -> Spec:
    """What is to be written: of the file, if there is one, and of the arguments over it."""
    args = list(context.flags.args)
    if not args:
        raise Failure(f"Not enough arguments (expected >1, got 0)\n{help_line(context)}")
    path = "" if args[0] == "-" or args[0].startswith("@") else args.pop(0)
    fields: dict[str, Any] = {}
    if args and (args[0] == "-" or args[0].startswith("@")):
        fields = _of_file(context, args.pop(0))
    elif not args:
        raise Failure(f"Must supply data\n{help_line(context)}")
    items = {**fields.get("items", {}), **dict(map(_pair, args))}
    if not items:
        raise Failure(f"Must supply data\n{help_line(context)}")
    path = path or fields.get("path", "")
    if not path:
        raise Failure(f"A path is required: as an argument, or in the file\n{help_line(context)}")
    return Spec(
        path=path,
        namespace=fields.get("namespace", ""),
        modify_index=fields.get("modifyindex", 0),
        items=items,
    )


def _of_file(context: Context, source: str) -> dict[str, Any]:
    form = context.flags.text("in")
    if form not in {"", "hcl", "json"}:
        raise Failure(
            f'Invalid value for "-in"; valid values are [hcl, json]\n{help_line(context)}'
        )
    if source == "-":
        if not form:
            raise Failure(f"Must supply a value for -in to read from -\n{help_line(context)}")
        text = (read_piped(context.stdin, FILE_BYTES_MAX) or b"").decode(errors="replace")
    else:
        text = read_file(source[1:])
        form = form or ("json" if source.endswith(".json") else "hcl")
    try:
        return parsed(text, as_json=form == "json")
    except ValueError as error:
        raise Failure(f"Failed to parse variable data: error parsing {form}: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    if text.startswith("-"):
        raise Failure(
            f'Failed to parse K=V data: "{text}" begins with "-": options come before the path: '
            "quorate var put [options] <path> key=value\n"
            "An item whose name begins so can only be given in a @file"
        )
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Failure(
            f'Failed to parse K=V data: invalid key/value pair "{text}": format must be key=value'
        )
    if value.startswith("@"):
        return key, read_file(value[1:])
    return key, value.removeprefix("\\") if value.startswith("\\@") else value


def _lost(cas: int, conflict: VariableConflict, may: str) -> str:
    """Why nothing was written, in the words that scripts know; `may` begins what helps."""
    current = conflict.current
    if conflict.why in {"locked", "delay"}:
        return _locked(conflict)
    if not current.modify_index:
        return (
            "\nCheck-and-Set conflict\n\n"
            f"    Your provided check-index ({cas}) does not match: there is no such variable. If "
            f"you are\n    sure you want to perform this operation, {may}"
            "-check-index=0 flag before\n    the positional arguments.\n"
        )
    return (
        "\nCheck-and-Set conflict\n\n"
        f"    Your provided check-index ({cas}) does not match the server-side index "
        f"({current.modify_index}). The\n"
        f"    server-side item was last updated on {moment(current.modify_time)}. If you are sure "
        f"you\n    want to perform this operation, {may}"
        f"-check-index={current.modify_index} flag before\n    the positional arguments.\n"
    )


def _locked(conflict: VariableConflict) -> str:
    current, lock = conflict.current, conflict.current.lock
    held = f" (fencing number {lock.fence}, TTL {lock.ttl})" if lock else ""
    return (
        "\nThe variable is locked\n\n"
        f'    Nothing was changed: another process holds the lock of "{current.path}"{held}.\n'
        f"    It was last changed on {moment(current.modify_time)}. Only the holder may write it, "
        "by the ID\n    of its lock; no option of this command overrides that.\n\n"
        f"    Next step: {conflict.next_step}.\n"
    )
