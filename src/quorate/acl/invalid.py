"""Policies, tokens and roles that cannot be written: why, as the answer with status 400 says it."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.errors import QuorateError


class AclInvalid(QuorateError):
    """`text` is the whole answer, in the form of the servers we are compatible with."""


class PolicyInvalid(AclInvalid):
    """The text of a policy says nothing that can be meant, or is beyond its bounds."""


def refuse_if_any(what: str, faults: Sequence[str]) -> None:
    """`role 0 invalid: 2 errors occurred: ...`. Raises AclInvalid if there are faults."""
    if faults:
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        lines = "".join(f"\t* {fault}\n" for fault in faults)
        raise AclInvalid(f"{what} 0 invalid: {count} occurred:\n{lines}\n")
