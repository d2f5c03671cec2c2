"""Tokens, policies and roles as the API shows them (docs/http-api.md#endpoints).

Times are RFC 3339 in UTC. `hash` is base64 of 32 bytes that change with what the object says.
"""

from __future__ import annotations

from typing import Any

import msgspec


class PolicyLink(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A policy of a role."""

    name: str = ""


class RoleLink(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A role of a token."""

    id: str = msgspec.field(name="ID", default="")
    name: str = ""


class Token(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One token. The secret is empty where the token is not the answer to a call for it alone.

    `expiration_ttl` is a Go duration, empty for a token that does not expire.
    """

    expiration_ttl: str = msgspec.field(name="ExpirationTTL", default="")
    accessor_id: str = msgspec.field(name="AccessorID", default="")
    secret_id: str = msgspec.field(name="SecretID", default="")
    name: str = ""
    type: str = ""
    policies: tuple[str, ...] | None = None
    roles: tuple[RoleLink, ...] | None = None
    is_global: bool = msgspec.field(name="Global", default=False)
    hash: str | None = None
    create_time: str = "0001-01-01T00:00:00Z"
    expiration_time: str | None = None
    create_index: int = 0
    modify_index: int = 0

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Token(accessor_id={self.accessor_id!r}, name={self.name!r})"


class TokenListed(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One token of a list."""

    accessor_id: str = msgspec.field(name="AccessorID", default="")
    create_index: int = 0
    create_time: str = "0001-01-01T00:00:00Z"
    expiration_time: str | None = None
    is_global: bool = msgspec.field(name="Global", default=False)
    hash: str | None = None
    modify_index: int = 0
    name: str = ""
    policies: tuple[str, ...] | None = None
    roles: tuple[RoleLink, ...] | None = None
    type: str = ""


class PolicyListed(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One policy of a list."""

    create_index: int = 0
    description: str = ""
    hash: str | None = None
    modify_index: int = 0
    name: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One policy. `rules_json` is what was read in the text `rules`; null in events.

    `job_acl` is always null: there are no jobs here.
    """

    create_index: int = 0
    description: str = ""
    hash: str | None = None
    job_acl: None = msgspec.field(name="JobACL", default=None)
    modify_index: int = 0
    name: str = ""
    rules: str = ""
    rules_json: dict[str, Any] | None = msgspec.field(name="RulesJSON", default=None)


class Role(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One role."""

    create_index: int = 0
    description: str = ""
    hash: str | None = None
    id: str = msgspec.field(name="ID", default="")
    modify_index: int = 0
    name: str = ""
    policies: tuple[PolicyLink, ...] | None = None
