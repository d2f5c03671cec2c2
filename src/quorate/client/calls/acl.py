"""The calls of tokens, policies and roles, for both clients (docs/acl.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from quorate.client.calls.call import (
    Answer,
    Call,
    Request,
    act,
    call,
    convert,
    get,
    ours,
    parse,
    put,
    succeeded,
)
from quorate.client.calls.models import RAW
from quorate.client.errors import AnswerError
from quorate.shapes.acl import objects as shapes
from quorate.shapes.acl.objects import PolicyLink, RoleLink
from quorate.shapes.acl.transition import Transition

T = TypeVar("T")

_ACL: Final = "/v1/acl"
_TRANSITION: Final = f"{_ACL}/transition"


class AclToken(shapes.Token, frozen=True, kw_only=True, rename="pascal"):
    """One token, with its secret where the server tells it. `repr` leaves the secret out."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)

    def __repr__(self) -> str:
        """Without the secret."""
        return f"AclToken(accessor_id={self.accessor_id!r}, name={self.name!r})"


class AclTokenListed(shapes.TokenListed, frozen=True, kw_only=True, rename="pascal"):
    """One token of a list."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AclPolicy(shapes.Policy, frozen=True, kw_only=True, rename="pascal"):
    """One policy with its text."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AclPolicyListed(shapes.PolicyListed, frozen=True, kw_only=True, rename="pascal"):
    """One policy of a list."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AclRole(shapes.Role, frozen=True, kw_only=True, rename="pascal"):
    """One role."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)

    @property
    def policy_names(self) -> tuple[str, ...]:
        """The names of its policies."""
        return tuple(link.name for link in self.policies or ())


class AclTransition(Transition, frozen=True, kw_only=True, rename="pascal"):
    """How the transition to ACL stands at the agent asked."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AclOperations:
    """One method for each endpoint. Each raises ClientError."""

    @call
    def bootstrap_acl(self, secret: str = "") -> Call[AclToken]:
        """Make the first management token; `secret` (a UUID) becomes its secret, if it is given."""
        body = {"BootstrapSecret": secret} if secret else None
        return put(f"{_ACL}/bootstrap", AclToken, body=body)

    @call
    def acl_transition(self) -> Call[AclTransition]:
        """How the transition to ACL stands at the agent asked; servers of Quorate only."""
        return get(_TRANSITION, AclTransition, check=ours)

    @call
    def end_acl_transition(self, *, ended: bool = True) -> Call[None]:
        """End the transition on all servers, or let their configurations decide again."""
        return act("PUT", _TRANSITION, body={"Ended": ended})

    # -- policies ------------------------------------------------------------------------------

    @call
    def acl_policies(self, *, prefix: str = "") -> Call[list[AclPolicyListed]]:
        """The policies that the token may see: all by management, else its own."""
        return _listed("policies", AclPolicyListed, prefix)

    @call
    def acl_policy(self, name: str) -> Call[AclPolicy]:
        """One policy. Raises StatusError (404) if it is not there."""
        return get(_path("policy", name), AclPolicy)

    @call
    def put_acl_policy(self, name: str, rules: str, *, description: str = "") -> Call[None]:
        """Write a policy, of a text in HCL or JSON: all of it is replaced."""
        body = {"Name": name, "Description": description, "Rules": rules}
        return act("PUT", _path("policy", name), body=body)

    @call
    def delete_acl_policy(self, name: str) -> Call[None]:
        """Delete a policy; one that is not there is no error."""
        return act("DELETE", _path("policy", name))

    # -- tokens --------------------------------------------------------------------------------

    @call
    def acl_tokens(self, *, prefix: str = "") -> Call[list[AclTokenListed]]:
        """The tokens, without their secrets; `prefix` is of the accessor."""
        return _listed("tokens", AclTokenListed, prefix)

    @call
    def acl_token(self, accessor: str) -> Call[AclToken]:
        """One token with its secret, which management sees, and the token itself."""
        return get(_path("token", accessor), AclToken)

    @call
    def acl_token_self(self) -> Call[AclToken]:
        """The token of this client."""
        return get(f"{_ACL}/token/self", AclToken)

    @call
    def create_acl_token(
        self,
        *,
        name: str = "",
        kind: str = "client",
        policies: Sequence[str] = (),
        role_names: Sequence[str] = (),
        role_ids: Sequence[str] = (),
        is_global: bool = False,
        ttl: str = "",
    ) -> Call[AclToken]:
        """Make a token; the answer has its secret. `ttl` is a Go duration, empty for no end."""
        roles = [{"Name": each} for each in role_names] + [{"ID": each} for each in role_ids]
        body = {
            "Name": name,
            "Type": kind,
            "Policies": list(policies),
            "Roles": roles,
            "Global": is_global,
        }
        return put(f"{_ACL}/token", AclToken, body=body | ({"ExpirationTTL": ttl} if ttl else {}))

    @call
    def update_acl_token(self, token: AclToken) -> Call[AclToken]:
        """Write name, type, policies and roles of a token that is there."""
        body = {
            "AccessorID": token.accessor_id,
            "Name": token.name,
            "Type": token.type,
            "Policies": token.policies,
            "Roles": token.roles,
            "Global": token.is_global,
        }
        return put(_path("token", token.accessor_id), AclToken, body=body)

    @call
    def delete_acl_token(self, accessor: str) -> Call[tuple[str, ...]]:
        """Delete a token. The names of live servers that have not applied it yet, mostly none.

        There it may still open local and stale requests, until they do or lose the leader for 30 s.
        """
        return Call(Request("DELETE", _path("token", accessor), []), _behind)

    # -- roles ---------------------------------------------------------------------------------

    @call
    def acl_roles(self, *, prefix: str = "") -> Call[list[AclRole]]:
        """The roles that the token may see: all by management, else its own."""
        return _listed("roles", AclRole, prefix)

    @call
    def acl_role(self, role_id: str) -> Call[AclRole]:
        """One role. Raises StatusError (404) if it is not there."""
        return get(_path("role", role_id), AclRole)

    @call
    def acl_role_by_name(self, name: str) -> Call[AclRole]:
        """One role by its name. Raises StatusError (404) if it is not there."""
        return get(_path("role/name", name), AclRole)

    @call
    def create_acl_role(
        self, name: str, policies: Sequence[str], *, description: str = ""
    ) -> Call[AclRole]:
        """Make a role of some policies."""
        links = policy_links(policies)
        role = AclRole(name=name, description=description, policies=links)
        return put(f"{_ACL}/role", AclRole, body=_of_role(role))

    @call
    def update_acl_role(self, role: AclRole) -> Call[AclRole]:
        """Write name, description and policies of a role that is there."""
        return put(_path("role", role.id), AclRole, body={"ID": role.id} | _of_role(role))

    @call
    def delete_acl_role(self, role_id: str) -> Call[None]:
        """Delete a role."""
        return act("DELETE", _path("role", role_id))


def role_links(names: Sequence[str], ids: Sequence[str]) -> tuple[RoleLink, ...]:
    """Roles of a token, by name and by ID."""
    return (
        *(RoleLink(name=each) for each in names),
        *(RoleLink(id=each) for each in ids),
    )


def policy_links(names: Sequence[str]) -> tuple[PolicyLink, ...]:
    """Policies of a role."""
    return tuple(PolicyLink(name=each) for each in names)


def _behind(answer: Answer) -> tuple[str, ...]:
    names = succeeded(answer).headers.get("x-quorate-behind", "")
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _of_role(role: AclRole) -> dict[str, Any]:
    return {
        "Name": role.name,
        "Description": role.description,
        "Policies": [{"Name": name} for name in role.policy_names],
    }


def _path(kind: str, name: str) -> str:
    from urllib.parse import quote

    return f"{_ACL}/{kind}/{quote(name, safe='')}"


def _listed(what: str, model: type[T], prefix: str) -> Call[list[T]]:
    path = f"{_ACL}/{what}"

    def read(answer: Answer) -> list[T]:
        found = parse(path, succeeded(answer).body)
        if not isinstance(found, list):
            raise AnswerError(path, "no list")
        return [convert(path, each, model) for each in found]

    return Call(Request("GET", path, [("prefix", prefix)] if prefix else []), read)
