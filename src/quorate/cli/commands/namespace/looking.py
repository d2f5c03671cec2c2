"""`quorate namespace list|status|inspect` (docs/namespaces.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, format_table
from quorate.client import Namespace


def list_all(context: Context) -> int:
    """Show all namespaces."""
    with context.client() as client, doing("Error retrieving namespaces: "):
        found = client.namespaces()

    def show() -> None:
        if found:
            context.out.table(_table(found))
        else:
            context.out.line("No namespaces found")  # the token sees none

    return context.show([each.raw for each in found], show)


def status(context: Context) -> int:
    """Show one namespace as a block."""
    found = _wanted(context)
    return context.show(found.raw, lambda: context.out.line(_block(found)))


def inspect(context: Context) -> int:
    """Show one namespace as JSON, or by a template."""
    found = _wanted(context)
    return context.show(
        found.raw,
        lambda: context.out.line(json.dumps(found.raw, indent=4, ensure_ascii=False)),
    )


def _wanted(context: Context) -> Namespace:
    """The namespace of that name, or the only one whose name begins so."""
    name = context.flags.args[0]
    with context.client() as client, doing("Error retrieving namespaces: "):
        found = client.namespaces(prefix=name)
    exact = [each for each in found if each.name == name]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if not found:
        shown = json.dumps(name, ensure_ascii=False)
        raise Failure(
            f"Error retrieving namespaces: Namespace {shown} matched no namespaces",
            "see them by: quorate namespace list",
        )
    raise Failure(f"Prefix matched multiple namespaces\n\n{_table(found)}", "give a whole name")


def _table(found: Sequence[Namespace]) -> str:
    rows = sorted((each.name, each.description) for each in found)
    return format_table([("Name", "Description"), *rows])


def _block(found: Namespace) -> str:
    given = found.capabilities
    enabled = "" if given is None else ",".join(given.enabled_task_drivers or ())
    disabled = "" if given is None else ",".join(given.disabled_task_drivers or ())
    block = format_block(
        (
            ("Name", found.name),
            ("Description", found.description),
            ("Quota", found.quota),
            ("EnabledDrivers", enabled or "*"),
            ("DisabledDrivers", disabled),
        )
    )
    if not found.meta:
        return block
    return f"{block}\n\nMetadata\n{format_block(sorted(found.meta.items()))}"
