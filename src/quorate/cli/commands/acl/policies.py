"""`quorate acl policy` (docs/acl.md)."""

from __future__ import annotations

from typing import Final

from quorate.cli.commands.acl.shown import MANAGEMENT, listed
from quorate.cli.commands.given import text_of
from quorate.cli.context import Context, doing
from quorate.cli.text.tables import format_block, format_table
from quorate.client.calls.acl import AclPolicyListed

POLICY_BYTES_MAX: Final = 64 * 1024


def apply(context: Context) -> int:
    """Write a policy of a file."""
    name, source = context.flags.args
    rules = text_of(context, source, POLICY_BYTES_MAX)
    description = context.flags.text("description")
    with context.client() as client, doing("Error writing ACL policy: "):
        client.put_acl_policy(name, rules, description=description)
    context.out.line(f'Successfully wrote "{name}" ACL policy!')
    return 0


def list_all(context: Context) -> int:
    """The policies that the token may see."""
    with context.client() as client, doing("Error listing ACL policies: "):
        found = client.acl_policies()
    return _show(context, found)


def info(context: Context) -> int:
    """One policy with its rules."""
    with context.client() as client, doing("Error fetching info on ACL policy: "):
        found = client.acl_policy(context.flags.args[0])
    block = format_block(
        [
            ("Name", found.name),
            ("Description", found.description),
            ("CreateIndex", str(found.create_index)),
            ("ModifyIndex", str(found.modify_index)),
        ]
    )
    text = f"{block}\n\nRules\n\n{found.rules.strip()}"
    return context.show(found.raw, lambda: context.out.line(text))


def delete(context: Context) -> int:
    """Delete a policy."""
    name = context.flags.args[0]
    with context.client() as client, doing("Error deleting ACL policy: "):
        client.delete_acl_policy(name)
    context.out.line(f"Successfully deleted {name} policy!")
    return 0


def of_self(context: Context) -> int:
    """The policies of the token that is used."""
    with context.client() as client:
        with doing("Error fetching self token: "):
            token = client.acl_token_self()
        if token.type == MANAGEMENT:
            return context.show(
                [], lambda: context.out.line("This is a management token. No policies assigned.")
            )
        with doing("Error listing ACL policies: "):
            found = client.acl_policies()
    return _show(context, found)


def _show(context: Context, found: list[AclPolicyListed]) -> int:
    def show() -> None:
        if not found:
            context.out.line("No policies found")
            return
        rows = sorted((each.name, each.description) for each in found)
        context.out.table(format_table([("Name", "Description"), *rows]))

    return context.show([listed(each.raw) for each in found], show)
