"""A policy as a caller gives it."""

from __future__ import annotations

from quorate.acl.checks.names import description_faults, name_faults
from quorate.acl.invalid import PolicyInvalid, refuse_if_any
from quorate.acl.policies.parsing import parse_policy
from quorate.acl.values import PolicyRights


def checked_policy(name: str, description: str, text: str) -> PolicyRights:
    """The rules of a policy that may be written. Raises AclInvalid.

    Not on the event loop: it reads the text.
    """
    faults, rights = name_faults(name), PolicyRights()
    try:
        rights = parse_policy(text)
    except PolicyInvalid as error:
        faults.append(f"failed to parse rules: {error.text}")
    faults += description_faults(description)
    refuse_if_any("policy", faults)
    return rights
