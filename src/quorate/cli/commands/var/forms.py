"""Variables for people and scripts: tables, JSON, HCL, templates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from quorate.cli.context import Context, Failure
from quorate.cli.text.tables import format_block
from quorate.client import Variable
from quorate.given_files import content

NS_PER_S = 1_000_000_000
FILE_BYTES_MAX = 1 << 20
"""Of a specification or a template: a variable has at most 64 KiB."""


def help_line(context: Context) -> str:
    """Where to read on after a mistake of the command line."""
    return f"For additional help try '{context.command.name} -help'"


def chosen(context: Context, forms: tuple[str, ...], on_terminal: str) -> str:
    """The form that is asked for, checked. Raises Failure."""
    stdout = context.out.stdout
    form = context.flags.text("out") or (on_terminal if stdout.isatty() else "json")
    if form not in forms:
        raise Failure(
            f'Invalid value for "-out"; valid values are [{", ".join(forms)}]\n{help_line(context)}'
        )
    has_template = "template" in context.flags.values
    if form == "go-template" and not has_template:
        raise Failure(f"A template must be supplied using '-template'\n{help_line(context)}")
    if has_template and form != "go-template":
        raise Failure(f"'-template' needs '-out=go-template'\n{help_line(context)}")
    return form


def templated(context: Context, data: Any) -> str:
    """The data by the template that is given, which may stand in a file."""
    from quorate.cli.text.gotemplate import TemplateError, render

    template = context.flags.text("template")
    if template.startswith("@"):
        template = read_file(template[1:]).rstrip("\n")
    try:
        return render(template, data)
    except TemplateError as error:
        raise Failure(f"Error formatting the data: template: {error}") from error


def read_file(name: str) -> str:
    """A file's text. Raises Failure in the words of scripts' other tools."""
    try:
        return content(name, FILE_BYTES_MAX, stream=True).decode()
    except (OSError, ValueError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Failure(
            f'Error reading "{name}": open {name}: {words[:1].lower() + words[1:]}'
        ) from error


def moment(time_ns: int) -> str:
    """A time of a variable, in seconds, in UTC."""
    try:
        when = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_ns)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(context: Context, form: str, variable: Variable) -> None:
    """Print one variable in that form."""
    out = context.out
    match form:
        case "json":
            out.line(json.dumps(_in_order(variable), indent=2, ensure_ascii=False))
        case "hcl":
            out.line(_hcl(variable))
        case "go-template":
            out.line(templated(context, variable.raw))
        case "table":
            out.line(_block(variable))


def _in_order(variable: Variable) -> dict[str, Any]:
    fields = ("Namespace", "Path", "CreateIndex", "ModifyIndex", "CreateTime", "ModifyTime")
    more = {key: value for key, value in variable.raw.items() if key not in {*fields, "Items"}}
    first = {field: variable.raw.get(field) for field in fields}
    return {**first, **more, "Items": variable.items or {}}


def _hcl(variable: Variable) -> str:
    lines = [
        "",
        f"namespace    = {_text(variable.namespace)}",
        f"path         = {_text(variable.path)}",
        f"create_index = {variable.create_index}  # Set by server",
        f"modify_index = {variable.modify_index}  # Set by server; consulted for check-and-set",
        f"create_time  = {variable.create_time}   # Set by server",
        f"modify_time  = {variable.modify_time}   # Set by server",
        "",
        "items = {",
    ]
    items = variable.items or {}
    plain = {key: key if key.isidentifier() and key.isascii() else _text(key) for key in items}
    width = max((len(name) for name in plain.values()), default=0)
    lines += [f"  {plain[key].ljust(width)} = {_text(value)}" for key, value in items.items()]
    return "\n".join([*lines, "}", ""])


_UNKNOWN_TO_HCL: Final = {"\b": "\\u0008", "\f": "\\u000c"}  # JSON has short forms of them


def _text(value: str) -> str:
    """A text of HCL: that of JSON, but for what would begin a template.

    HCL's own `$${` is not used: not every reader of HCL takes it back.
    """
    parts = [_UNKNOWN_TO_HCL.get(c) or json.dumps(c, ensure_ascii=False)[1:-1] for c in value]
    text = "".join(parts).replace("${", "\\u0024{").replace("%{", "\\u0025{")
    return f'"{text}"'


def _block(variable: Variable) -> str:
    lock = variable.lock
    held = (
        f"held, fencing number {lock.fence}, TTL {lock.ttl}, delay {lock.lock_delay}"
        if lock
        else ""
    )
    head = format_block(
        (
            ("Namespace", variable.namespace),
            ("Path", variable.path),
            ("Create Time", moment(variable.create_time)),
            ("Modify Time", moment(variable.modify_time)),
            ("Check Index", str(variable.modify_index)),
            *((("Lock", held),) if held else ()),
        )
    )
    return f"{head}\n\nItems\n{format_block((variable.items or {}).items())}"
