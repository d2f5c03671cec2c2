"""Tokens and roles as blocks and lists. A secret is shown where the program of today shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from quorate.cli.context import Context
from quorate.cli.text.tables import NONE, format_block, format_split, format_table, word
from quorate.client.calls.acl import AclRole, AclToken, AclTokenListed

MANAGEMENT: Final = "management"
NOT_APPLICABLE: Final = "n/a"


def show_token(context: Context, token: AclToken) -> int:
    """One token, with its secret."""
    return context.show(token.raw, lambda: context.out.line(token_block(token)))


def token_block(token: AclToken) -> str:
    """A token for people."""
    managing = token.type == MANAGEMENT
    policies = NOT_APPLICABLE if managing else f"[{' '.join(token.policies or ())}]"
    pairs = [
        ("Accessor ID", token.accessor_id),
        ("Secret ID", token.secret_id),
        ("Name", token.name),
        ("Type", token.type),
        ("Global", word(token.is_global)),
        ("Create Time", _time(token.create_time)),
        ("Expiry Time", _time(token.expiration_time or "")),
        ("Create Index", str(token.create_index)),
        ("Modify Index", str(token.modify_index)),
        ("Policies", policies),
    ]
    if managing:
        return format_block([*pairs, ("Roles", NOT_APPLICABLE)])
    links = [(link.id, link.name) for link in token.roles or ()]
    roles = format_table([("ID", "Name"), *links]) if links else NONE
    return f"{format_block(pairs)}\n\nRoles\n{roles}"


def token_rows(found: Sequence[AclTokenListed], now: datetime) -> list[tuple[str, ...]]:
    """The rows of a list of tokens, with their heading."""
    rows = [
        (each.name, each.type, word(each.is_global), each.accessor_id, word(_is_over(each, now)))
        for each in found
    ]
    return [("Name", "Type", "Global", "Accessor ID", "Expired"), *rows]


def show_role(context: Context, role: AclRole) -> int:
    """One role."""
    block = format_block(
        [
            ("ID", role.id),
            ("Name", role.name),
            ("Description", role.description),
            ("Policies", ",".join(role.policy_names)),
            ("Create Index", str(role.create_index)),
            ("Modify Index", str(role.modify_index)),
        ]
    )
    return context.show(role.raw, lambda: context.out.line(block))


def role_table(found: Sequence[AclRole], width: int | None) -> str:
    """A list of roles."""
    rows = [(each.id, each.name, each.description, ",".join(each.policy_names)) for each in found]
    return format_split([("ID", "Name", "Description", "Policies"), *rows], width, key=0)


def listed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One of a list as `-json` shows it: no hash, and no expiry where there is none."""
    return {
        name: value
        for name, value in raw.items()
        if name != "Hash" and not (name == "ExpirationTime" and value is None)
    }


def _time(text: str) -> str:
    """RFC 3339 in UTC as Go prints a time: `2026-11-28 22:09:31.28 +0000 UTC`."""
    if not text.endswith("Z"):
        return text
    return f"{text[:-1].replace('T', ' ', 1)} +0000 UTC"


def _is_over(token: AclTokenListed, now: datetime) -> bool:
    if not token.expiration_time:
        return False
    # Python reads six digits of a fraction, Go writes nine.
    whole, _, fraction = token.expiration_time.removesuffix("Z").partition(".")
    try:
        end = datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return False
    return end <= now
