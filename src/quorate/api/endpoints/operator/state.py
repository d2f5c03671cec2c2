"""`/v1/operator/state` (ours): how large the state is, and the bounds of it.

See docs/variables.md#the-bound-of-the-state.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec

from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import write_headers
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Capability, Consistency, Context, Endpoint, Forwarding
from quorate.api.endpoints.variables.rules import is_namespace
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.state.engine.commands import encode
from quorate.state.tables.limits import SetLimit

LEAST: Final = 1 << 20
MOST: Final = 1 << 60


class _Body(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    bytes_max: int
    namespace: str = ""


_decode: Final = msgspec.json.Decoder(_Body).decode


class StateEndpoint:
    """GET of the sizes, PUT of a bound."""

    def __init__(self, context: Context) -> None:
        self._usage = context.parts.usage
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """Sizes by namespace, the largest prefixes, and the bounds, on the server asked."""

        async def perform() -> Response:
            return json_response(await self._usage.report(), pretty=call.query.pretty)

        return self._authority.any_server(call, perform)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Set the bound of the state or of a namespace; 0 takes it away."""
        try:
            body = _decode(call.request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(f"the body is not what is expected: {error}") from None
        if body.namespace and not is_namespace(body.namespace):
            raise RequestError("Namespace is no name of a namespace")
        if body.bytes_max and not LEAST <= body.bytes_max <= MOST:
            raise RequestError(f"BytesMax is 0, or {LEAST} (1 MiB) to {MOST}")
        cas = parse_cas(call.query, "can not parse cas: ", empty_is_none=True)
        command = SetLimit(namespace=body.namespace, bytes_max=body.bytes_max, cas=cas)

        def answer(index: int, refused: str) -> Response:
            if refused:
                return text_response(409, f"the bound is not set: {refused}")
            return empty_response(headers=write_headers(index))

        return self._authority.replicate(call, encode(command), answer)


ROWS: Final = (
    Endpoint(
        path="/v1/operator/state",
        methods=("GET",),
        made_of=StateEndpoint,
        handler=StateEndpoint.get,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        does="how large the state is, its bounds, and its largest prefixes (ours)",
    ),
    Endpoint(
        path="/v1/operator/state/limit",
        methods=("PUT", "POST"),
        made_of=StateEndpoint,
        handler=StateEndpoint.put,
        capability=Capability.OPERATOR_WRITE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="[?cas=]",
        does="set the bound of the state, or of a namespace (ours)",
    ),
)
