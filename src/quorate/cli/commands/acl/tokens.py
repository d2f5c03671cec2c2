"""`quorate acl bootstrap` and `quorate acl token` (docs/acl.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from quorate.cli.commands.acl.shown import listed, show_token, token_rows
from quorate.cli.commands.given import text_of
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.client.calls.acl import role_links

SECRET_BYTES_MAX: Final = 1024


def bootstrap(context: Context) -> int:
    """The first management token."""
    args = context.flags.args
    secret = text_of(context, args[0], SECRET_BYTES_MAX).strip() if args else ""
    if args and not secret:
        raise Failure(
            "Error bootstrapping: the file of the secret is empty",
            "write a UUID into it, or give no file",
        )
    with context.client() as client, doing("Error bootstrapping: "):
        token = client.bootstrap_acl(secret)
    return show_token(context, token)


def create(context: Context) -> int:
    """A new token."""
    flags = context.flags
    ttl = _checked_ttl(flags.text("ttl"))
    with context.client() as client, doing("Error creating token: "):
        token = client.create_acl_token(
            name=flags.text("name"),
            kind=flags.text("type", "client"),
            policies=flags.many("policy"),
            role_names=flags.many("role-name"),
            role_ids=flags.many("role-id"),
            is_global=flags.on("global"),
            ttl=ttl,
        )
    return show_token(context, token)


def update(context: Context) -> int:
    """Change what is given of a token."""
    flags = context.flags
    accessor = flags.args[0]
    with context.client() as client:
        with doing("Error fetching token: "):
            token = client.acl_token(accessor)
        if "name" in flags.values:
            token = replace(token, name=flags.text("name"))
        if "type" in flags.values:
            token = replace(token, type=flags.text("type"))
        if "global" in flags.values:
            token = replace(token, is_global=flags.on("global"))
        if "policy" in flags.values:
            token = replace(token, policies=tuple(flags.many("policy")))
        names, ids = flags.many("role-name"), flags.many("role-id")
        if names or ids:
            token = replace(token, roles=role_links(names, ids))
        with doing("Error updating token: "):
            token = client.update_acl_token(token)
    return show_token(context, token)


def info(context: Context) -> int:
    """One token."""
    with context.client() as client, doing("Error fetching token: "):
        token = client.acl_token(context.flags.args[0])
    return show_token(context, token)


def of_self(context: Context) -> int:
    """The token that is used."""
    with context.client() as client, doing("Error fetching self token: "):
        token = client.acl_token_self()
    return show_token(context, token)


def list_all(context: Context) -> int:
    """All tokens, without their secrets."""
    with context.client() as client, doing("Error listing ACL tokens: "):
        found = client.acl_tokens()

    def show() -> None:
        if found:
            context.out.table(format_table(token_rows(found, datetime.now(UTC))))
        else:
            context.out.line("No tokens found")

    return context.show([listed(each.raw) for each in found], show)


def delete(context: Context) -> int:
    """Delete a token: it counts for nothing from the answer on."""
    accessor = context.flags.args[0]
    with context.client() as client, doing("Error deleting token: "):
        behind = client.delete_acl_token(accessor)
    context.out.line(f"Token {accessor} successfully deleted")
    if behind:
        context.out.error(
            f"Not applied yet by {', '.join(behind)}: local and stale requests there may still be "
            "answered with it, for 30 s at most once such a server has lost the leader",
            "see how far each server is: quorate operator raft views",
        )
    return 0


def _checked_ttl(text: str) -> str:
    from quorate.cli.text.duration import check_duration

    if text:
        try:
            check_duration(text)
        except ValueError as error:
            raise Failure(
                f"Failed to parse TTL as time duration: {error}", "write it as 8h or 30m"
            ) from None
    return text
