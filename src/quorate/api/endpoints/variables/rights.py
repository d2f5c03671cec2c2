"""The rights of a caller on variables: those of its policies, by namespace and path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from quorate.acl.capability import Capability
from quorate.acl.rights import Rights
from quorate.api.endpoints.variables.rules import WILDCARD, namespace_of
from quorate.api.http.messages import Call
from quorate.state.tables.variables import Variable


def may(capability: Capability, namespace: str, path: str, rights: Rights) -> bool:
    """Whether these rights allow it, as a need of a call."""
    return rights.allows_variable(capability, namespace, path)


def need(call: Call, capability: Capability, namespace: str, path: str) -> None:
    """Refuse the request unless its caller may do this to the variable."""
    if call.admission is not None:
        call.admission.need(partial(may, capability, namespace, path))


def may_read(call: Call, namespace: str, path: str) -> bool:
    """Whether the caller may see the items of the variable."""
    return call.admission is None or may(
        Capability.VARIABLES_READ, namespace, path, call.caller.rights
    )


def seen_in_lists(call: Call) -> Callable[[Variable], bool] | None:
    """Whether a list may name the variable to the caller; None: it may name all."""
    rights = call.caller.rights
    if rights.everything:
        return None
    return lambda row: may(Capability.VARIABLES_LIST, row.namespace, row.path, rights)


def may_list_all(call: Call, rights: Rights) -> bool:
    """Whether the list that is asked for may name all that can ever be in it."""
    namespace, prefix = namespace_of(call), call.query.first("prefix")
    return namespace != WILDCARD and rights.allows_all_below(
        Capability.VARIABLES_LIST, namespace, prefix
    )


def sees_any(call: Call, namespace: str, prefix: str) -> bool:
    """Whether a list of this namespace (`*`: of all) may name any variable to the caller.

    If not, no row is looked at: neither time nor a bound tells how many there are.
    """
    rights = call.caller.rights
    if namespace == WILDCARD:
        return rights.allows(Capability.VARIABLES_LIST)
    return rights.allows_some_below(Capability.VARIABLES_LIST, namespace, prefix)
