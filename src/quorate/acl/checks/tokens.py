"""A token as a caller gives it, and the form of IDs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from quorate.acl.invalid import refuse_if_any
from quorate.wire.go.duration import format_duration

CLIENT: Final = "client"
MANAGEMENT: Final = "management"

NAME_LENGTH_MAX: Final = 256
POLICIES_MAX: Final = 256
"""Policies and roles of one token, together."""

UUID_LENGTH: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class ExpiryBounds(msgspec.Struct, frozen=True):
    """How long a token with an expiry may live, in nanoseconds: settings of the agent."""

    least_ns: int
    most_ns: int


def is_uuid(text: str) -> bool:
    """Whether it has the form of an accessor, a secret or the ID of a role."""
    return (
        len(text) == UUID_LENGTH
        and all(text[place] == "-" for place in _DASHES)
        and _HEX.issuperset(text.replace("-", ""))
        and text.count("-") == len(_DASHES)
    )


def check_token(
    name: str,
    kind: str,
    policies: Sequence[str],
    roles: Sequence[str],
    *,
    ttl_ns: int | None,
    bounds: ExpiryBounds,
) -> None:
    """Whether a token may be written. `ttl_ns` is None without an expiry. Raises AclInvalid.

    That the policies and roles exist is not looked at.
    """
    faults: list[str] = []
    if len(name) > NAME_LENGTH_MAX:
        faults.append("token name too long")
    faults += _kind_faults(kind, policies, roles)
    if len(policies) + len(roles) > POLICIES_MAX:
        faults.append(f"more than {POLICIES_MAX} policies and roles")
    faults += _expiry_faults(ttl_ns, bounds)
    refuse_if_any("token", faults)


def _kind_faults(kind: str, policies: Sequence[str], roles: Sequence[str]) -> list[str]:
    if kind == CLIENT:
        return [] if policies or roles else ["client token missing policies or roles"]
    if kind == MANAGEMENT:
        if not policies and not roles:
            return []
        return ["management token cannot be associated with policies or roles"]
    return ["token type must be client or management"]


def _expiry_faults(ttl_ns: int | None, bounds: ExpiryBounds) -> list[str]:
    if ttl_ns is None:
        return []
    was = f"in the future (was {format_duration(ttl_ns)})"
    if ttl_ns < bounds.least_ns:
        least = format_duration(bounds.least_ns)
        return [f"expiration time cannot be less than {least} {was}"]
    if ttl_ns > bounds.most_ns:
        most = format_duration(bounds.most_ns)
        return [f"expiration time cannot be more than {most} {was}"]
    return []
