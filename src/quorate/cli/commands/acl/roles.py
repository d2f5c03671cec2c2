"""`quorate acl role` (docs/acl.md)."""

from __future__ import annotations

from msgspec.structs import replace

from quorate.cli.commands.acl.shown import listed, role_table, show_role
from quorate.cli.context import Context, Failure, doing
from quorate.client.calls.acl import AclRole, policy_links


def create(context: Context) -> int:
    """A new role."""
    flags = context.flags
    _needed(context)
    with context.client() as client, doing("Error creating ACL role: "):
        role = client.create_acl_role(
            flags.text("name"), flags.many("policy"), description=flags.text("description")
        )
    return show_role(context, role)


def update(context: Context) -> int:
    """Change what is given of a role, or all of it with `-no-merge`."""
    flags = context.flags
    role_id = flags.args[0]
    with context.client() as client:
        if flags.on("no-merge"):
            _needed(context)
            role = AclRole(id=role_id)
        else:
            with doing("Error reading ACL role: "):
                role = client.acl_role(role_id)
        if "name" in flags.values:
            role = replace(role, name=flags.text("name"))
        if "description" in flags.values:
            role = replace(role, description=flags.text("description"))
        if "policy" in flags.values:
            role = replace(role, policies=policy_links(flags.many("policy")))
        with doing("Error updating ACL role: "):
            role = client.update_acl_role(role)
    return show_role(context, role)


def info(context: Context) -> int:
    """One role, by its ID or its name."""
    wanted = context.flags.args[0]
    with context.client() as client, doing("Error reading ACL role: "):
        by_name = context.flags.on("by-name")
        role = client.acl_role_by_name(wanted) if by_name else client.acl_role(wanted)
    return show_role(context, role)


def list_all(context: Context) -> int:
    """The roles that the token may see."""
    with context.client() as client, doing("Error listing ACL roles: "):
        found = client.acl_roles()

    def show() -> None:
        out = context.out
        out.line(role_table(found, out.width) if found else "No ACL roles found")

    return context.show([listed(each.raw) for each in found], show)


def delete(context: Context) -> int:
    """Delete a role."""
    role_id = context.flags.args[0]
    with context.client() as client, doing("Error deleting ACL role: "):
        client.delete_acl_role(role_id)
    context.out.line(f"ACL role {role_id} successfully deleted")
    return 0


def _needed(context: Context) -> None:
    """Raise Failure without a name or a policy."""
    flags = context.flags
    if not flags.text("name"):
        raise Failure("ACL role name must be specified using the -name flag")
    if not flags.many("policy"):
        raise Failure("At least one policy name must be specified using the -policy flag")
