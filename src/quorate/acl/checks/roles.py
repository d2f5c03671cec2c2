"""A role as a caller gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quorate.acl.checks.names import description_faults, name_faults
from quorate.acl.invalid import refuse_if_any

POLICIES_MAX: Final = 256
"""Policies of one role."""


def check_role(name: str, description: str, policies: Sequence[str]) -> None:
    """Whether a role may be written. Raises AclInvalid.

    That its policies exist is not looked at.
    """
    faults = [*name_faults(name), *description_faults(description)]
    if not policies:
        faults.append("at least one policy should be specified")
    if len(policies) > POLICIES_MAX:
        faults.append(f"more than {POLICIES_MAX} policies")
    refuse_if_any("role", faults)
