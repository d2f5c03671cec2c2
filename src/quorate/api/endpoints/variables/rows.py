"""The rows of variables in the table of endpoints."""

from __future__ import annotations

from typing import Final

from quorate.acl.capability import Capability
from quorate.api.endpoint import KIB, Consistency, Endpoint, Forwarding
from quorate.api.endpoints.variables.batch import VariablesWriteEndpoint
from quorate.api.endpoints.variables.listing import VariablesEndpoint
from quorate.api.endpoints.variables.one import VariableEndpoint
from quorate.api.endpoints.variables.preflight import WRONG_LIST, WRONG_ONE, PreflightEndpoint
from quorate.api.http.messages import BODY_BYTES_MAX

_WRITE: Final = ("PUT", "POST")

ROWS: Final = (
    Endpoint(
        path="/v1/vars",
        methods=("GET",),
        made_of=VariablesEndpoint,
        handler=VariablesEndpoint.get,
        capability=Capability.VARIABLES_LIST,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        parameters="[?prefix=&namespace=&per_page=&next_token=&filter=]",
        does="variables without their items; blocking",
        wrong=WRONG_LIST,
        cors=True,
    ),
    Endpoint(
        path="/v1/vars/write",
        methods=_WRITE,
        made_of=VariablesWriteEndpoint,
        handler=VariablesWriteEndpoint.put,
        capability=Capability.VARIABLES_WRITE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=BODY_BYTES_MAX,
        parameters="[?namespace=]",
        does="write and delete several variables, all or nothing (ours)",
    ),
    Endpoint(
        path="/v1/var/<path>",
        methods=("GET",),
        made_of=VariableEndpoint,
        handler=VariableEndpoint.get,
        capability=Capability.VARIABLES_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        parameters="[?namespace=]",
        does="a variable; blocking",
        wrong=WRONG_ONE,
        cors=True,
    ),
    Endpoint(
        path="/v1/var/<path>",
        methods=_WRITE,
        made_of=VariableEndpoint,
        handler=VariableEndpoint.put,
        capability=Capability.VARIABLES_WRITE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=512 * KIB,  # 64 KiB of items, each character of which may be an escape
        parameters="[?namespace=&cas= or &lock-acquire, &lock-renew, &lock-release]",
        does="write a variable, or hold its lock",
        wrong=WRONG_ONE,
    ),
    Endpoint(
        path="/v1/var/<path>",
        methods=("DELETE",),
        made_of=VariableEndpoint,
        handler=VariableEndpoint.delete,
        capability=Capability.VARIABLES_DESTROY,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="[?namespace=&cas=]",
        does="delete a variable",
        wrong=WRONG_ONE,
    ),
    Endpoint(
        path="/v1/vars",
        methods=("OPTIONS",),
        made_of=PreflightEndpoint,
        handler=PreflightEndpoint.of_list,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="204 with what a page of another site may do",
        wrong=WRONG_LIST,
        listed=False,
    ),
    Endpoint(
        path="/v1/var/<path>",
        methods=("OPTIONS",),
        made_of=PreflightEndpoint,
        handler=PreflightEndpoint.of_one,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="204 with what a page of another site may do",
        wrong=WRONG_ONE,
        listed=False,
    ),
)
