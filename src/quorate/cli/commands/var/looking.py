"""`quorate var get` and `quorate var list`."""

from __future__ import annotations

import json

from quorate.cli.commands.var.forms import chosen, moment, shown, templated
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.client import Page


def get(context: Context) -> int:
    """Show one variable, or one of its items."""
    form = chosen(context, ("go-template", "hcl", "json", "none", "table"), "table")
    with context.client() as client, doing("Error retrieving variable: "):
        found = client.variables.get(context.flags.args[0])
    if found is None:
        raise Failure("Variable not found")
    if "item" in context.flags.values:
        item = context.flags.text("item")
        value = (found.items or {}).get(item)
        if value is None:
            raise Failure(f'Variable does not contain "{item}" item')
        context.out.stdout.write(value)
        return 0
    shown(context, form, found)
    return 0


def list_all(context: Context) -> int:
    """List variables, a page of them or all."""
    flags = context.flags
    form = chosen(context, ("go-template", "json", "table", "terse"), "table")
    prefix = flags.args[0] if flags.args else ""
    with context.client() as client, doing("Error retrieving vars: "):
        page = client.variables.page(
            prefix,
            filter=flags.text("filter"),
            per_page=flags.number("per-page"),
            next_token=flags.text("page-token"),
        )
        everywhere = client.namespace == "*"
    _show(context, form, page, everywhere=everywhere)
    if page.next_token:
        context.out.stderr.write(f"Next page token: {page.next_token}\n")
    return 0


def _show(context: Context, form: str, page: Page, *, everywhere: bool) -> None:
    out, rows = context.out, page.variables
    match form:
        case "json":
            out.line(json.dumps([row.raw for row in rows], indent=4, ensure_ascii=False))
        case "go-template":
            out.line(templated(context, [row.raw for row in rows]))
        case "terse":
            for row in rows:
                out.line(f"{row.namespace}|{row.path}" if everywhere else row.path)
        case _ if not rows:
            out.line("No matching variables found")
        case _:
            cells = [(row.namespace, row.path, moment(row.modify_time)) for row in rows]
            out.table(format_table([("Namespace", "Path", "Last Updated"), *cells]))
