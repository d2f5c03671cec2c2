"""The rows of ACL in the table of endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from quorate.acl.capability import Capability
from quorate.api.consistency import Replicating
from quorate.api.endpoint import KIB, SMALL, Consistency, Endpoint, Forwarding, OfAct
from quorate.api.endpoints.acl.bootstrap import BootstrapEndpoint
from quorate.api.endpoints.acl.listing import TokensEndpoint
from quorate.api.endpoints.acl.policies import PoliciesEndpoint
from quorate.api.endpoints.acl.roles import RolesEndpoint
from quorate.api.endpoints.acl.tokens import TokenEndpoint
from quorate.api.endpoints.acl.transition import TransitionEndpoint
from quorate.api.http.messages import Call, Response

_WRITE: Final = ("PUT", "POST")
_POLICY_BYTES: Final = 256 * KIB
"""The text of a policy has 64 KiB at most, before it is escaped."""
_OBJECT_BYTES: Final = 64 * KIB

Handler = Callable[[Any, Call], Response | Replicating | Awaitable[Response]]


def _read(
    path: str,
    made_of: type,
    handler: Handler,
    does: str,
    *,
    capability: Capability = Capability.ANY_CALLER,
    parameters: str = "",
) -> Endpoint:
    return Endpoint(
        path=path,
        methods=("GET",),
        made_of=made_of,
        handler=handler,
        capability=capability,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        parameters=parameters,
        does=does,
    )


def _write(
    path: str,
    made_of: type,
    handler: Handler,
    does: str,
    *,
    body_max: int = SMALL,
    methods: tuple[str, ...] = _WRITE,
    capability: Capability = Capability.MANAGEMENT,
) -> Endpoint:
    return Endpoint(
        path=path,
        methods=methods,
        made_of=made_of,
        handler=handler,
        capability=capability,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=body_max,
        does=does,
        act=OfAct(does.partition(",")[0], carried=True),
    )


_DELETE: Final = ("DELETE",)

ROWS: Final = (
    _write(
        *("/v1/acl/bootstrap", BootstrapEndpoint, BootstrapEndpoint.put),
        "make the first token, of management",
        capability=Capability.NONE,
    ),
    _read(
        *("/v1/acl/policies", PoliciesEndpoint, PoliciesEndpoint.get_list),
        "the policies; of others than management those that the caller has; blocking",
        parameters="[?prefix=]",
    ),
    _read(
        *("/v1/acl/policy/<name>", PoliciesEndpoint, PoliciesEndpoint.get_one),
        "a policy, if the caller has it or is management; blocking",
    ),
    _write(
        *("/v1/acl/policy/<name>", PoliciesEndpoint, PoliciesEndpoint.put),
        "write a policy whole",
        body_max=_POLICY_BYTES,
    ),
    _write(
        *("/v1/acl/policy/<name>", PoliciesEndpoint, PoliciesEndpoint.delete),
        "delete a policy",
        methods=_DELETE,
    ),
    _read(
        *("/v1/acl/roles", RolesEndpoint, RolesEndpoint.get_list),
        "the roles; of others than management those that the caller has; blocking",
        parameters="[?prefix=]",
    ),
    _read(
        *("/v1/acl/role/<id>", RolesEndpoint, RolesEndpoint.get_one),
        "a role, if the caller has it or is management; blocking",
    ),
    _read(
        *("/v1/acl/role/name/<name>", RolesEndpoint, RolesEndpoint.get_named),
        "the same by its name; blocking",
    ),
    _write(
        *("/v1/acl/role", RolesEndpoint, RolesEndpoint.put),
        "make a role",
        body_max=_OBJECT_BYTES,
    ),
    _write(
        *("/v1/acl/role/<id>", RolesEndpoint, RolesEndpoint.put_one),
        "write a role whole",
        body_max=_OBJECT_BYTES,
    ),
    _write(
        *("/v1/acl/role/<id>", RolesEndpoint, RolesEndpoint.delete),
        "delete a role",
        methods=_DELETE,
    ),
    _read(
        *("/v1/acl/tokens", TokensEndpoint, TokensEndpoint.get),
        "the tokens without their secrets; blocking",
        capability=Capability.MANAGEMENT,
        parameters="[?prefix=&global=&per_page=&next_token=&filter=]",
    ),
    _read(
        *("/v1/acl/token/self", TokenEndpoint, TokenEndpoint.get_self),
        "the caller's own token; blocking",
    ),
    _read(
        *("/v1/acl/token/<accessor>", TokenEndpoint, TokenEndpoint.get),
        "a token, if it is the caller's own or that is management; blocking",
    ),
    _write(
        *("/v1/acl/token", TokenEndpoint, TokenEndpoint.put),
        "make a token",
        body_max=_OBJECT_BYTES,
    ),
    _write(
        *("/v1/acl/token/<accessor>", TokenEndpoint, TokenEndpoint.put_one),
        "write a token whole, but for its secret",
        body_max=_OBJECT_BYTES,
    ),
    _write(
        *("/v1/acl/token/<accessor>", TokenEndpoint, TokenEndpoint.delete),
        "delete a token",
        methods=_DELETE,
    ),
    Endpoint(
        path="/v1/acl/transition",
        methods=("GET",),
        made_of=TransitionEndpoint,
        handler=TransitionEndpoint.get,
        capability=Capability.MANAGEMENT,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="what this server lets pass while access control is introduced (ours)",
    ),
    _write(
        *("/v1/acl/transition", TransitionEndpoint, TransitionEndpoint.put),
        "end the introduction of access control on all servers (ours)",
    ),
)
