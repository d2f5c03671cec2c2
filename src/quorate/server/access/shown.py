"""Tokens, policies and roles as they are shown, by the API and in events."""

from __future__ import annotations

from base64 import b64encode

from quorate.acl.policies.shown import rules_json
from quorate.shapes.acl import objects as shapes
from quorate.state.engine.table import Reader
from quorate.state.tables.acl import roles
from quorate.state.tables.acl.policies import AclPolicy
from quorate.state.tables.acl.roles import AclRole
from quorate.state.tables.acl.tokens import AclToken
from quorate.wire.go.duration import format_duration
from quorate.wire.go.time import format_time


def token_shown(
    reader: Reader, accessor: str, token: AclToken, *, secret: str = ""
) -> shapes.Token:
    """One token, with its secret if that is given."""
    return shapes.Token(
        expiration_ttl=format_duration(token.ttl_ns) if token.ttl_ns else "",
        accessor_id=accessor,
        secret_id=secret,
        name=token.name,
        type=token.type,
        policies=token.policies or None,
        roles=_links(reader, token),
        is_global=token.is_global,
        hash=_base64(token.content_hash()),
        create_time=format_time(token.create_time),
        expiration_time=format_time(token.expires) if token.expires else None,
        create_index=token.create_index,
        modify_index=token.modify_index,
    )


def token_listed(reader: Reader, accessor: str, token: AclToken) -> shapes.TokenListed:
    """One token of a list."""
    return shapes.TokenListed(
        accessor_id=accessor,
        create_index=token.create_index,
        create_time=format_time(token.create_time),
        expiration_time=format_time(token.expires) if token.expires else None,
        is_global=token.is_global,
        hash=_base64(token.content_hash()),
        modify_index=token.modify_index,
        name=token.name,
        policies=token.policies or None,
        roles=_links(reader, token),
        type=token.type,
    )


def _links(reader: Reader, token: AclToken) -> tuple[shapes.RoleLink, ...] | None:
    """The roles of a token that are there."""
    found = ((role_id, reader.get(roles.TABLE, role_id)) for role_id in token.roles)
    links = [shapes.RoleLink(id=each, name=role.name) for each, role in found if role is not None]
    return tuple(links) or None


def policy_shown(policy: AclPolicy, *, whole: bool = True) -> shapes.Policy:
    """One policy; `whole`: also what was read in its text."""
    return shapes.Policy(
        create_index=policy.create_index,
        description=policy.description,
        hash=_base64(policy.content_hash()),
        modify_index=policy.modify_index,
        name=policy.name,
        rules=policy.rules,
        rules_json=rules_json(policy.rights, policy.rules) if whole else None,
    )


def policy_listed(policy: AclPolicy) -> shapes.PolicyListed:
    """One policy of a list."""
    return shapes.PolicyListed(
        create_index=policy.create_index,
        description=policy.description,
        hash=_base64(policy.content_hash()),
        modify_index=policy.modify_index,
        name=policy.name,
    )


def role_shown(role_id: str, role: AclRole) -> shapes.Role:
    """One role."""
    return shapes.Role(
        create_index=role.create_index,
        description=role.description,
        hash=_base64(role.content_hash()),
        id=role_id,
        modify_index=role.modify_index,
        name=role.name,
        policies=tuple(shapes.PolicyLink(name=name) for name in role.policies) or None,
    )


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
