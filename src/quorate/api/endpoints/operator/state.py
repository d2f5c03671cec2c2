"""`/v1/operator/state` (ours): how large the state is, and the bounds of it.

See docs/variables.md#the-bound-of-the-state.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec

from quorate.acl.capability import Capability
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import write_headers
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Applied, Replicating
from quorate.api.endpoint import Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.endpoints.variables.rules import is_namespace
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NoSuchNamespace
from quorate.state.engine.commands import encode
from quorate.state.engine.table import Reader
from quorate.state.tables import limits, namespaces, variables
from quorate.state.tables.limits import LIMITS_LEVEL, SetLimit

LEAST: Final = 1 << 20
MOST: Final = 1 << 60
_NAMED_MAX: Final = 5


class _Body(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    bytes_max: int
    namespace: str = ""


_decode: Final = msgspec.json.Decoder(_Body).decode


class StateEndpoint:
    """GET of the sizes, PUT of a bound."""

    def __init__(self, context: Context) -> None:
        self._usage = context.parts.usage
        self._state = context.parts.state
        self._leadership = context.parts.leadership
        self._writes = context.parts.writes
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

        if body.namespace:
            return self._authority.write(call, lambda: self._of_namespace(command, answer))
        return self._authority.replicate(call, encode(command), answer)

    async def _of_namespace(self, command: SetLimit, answer: Applied) -> Response:
        """The write, once it is known that there is such a namespace. Raises NoSuchNamespace."""
        await self._leadership.read_barrier()
        state = self._state.readable()
        if state.level >= LIMITS_LEVEL:  # else the write is refused, by its level
            _demand(state, command.namespace)
        index, refused = await self._writes.apply(encode(command))
        return answer(index + self._writes.shift, refused)


def _demand(reader: Reader, name: str) -> None:
    """Raise NoSuchNamespace for one that is not listed, holds nothing, and has no bound either."""
    listed = namespaces.by_name(reader, name) is not None
    if listed or variables.any_in(reader, name) or limits.namespace_bytes_max(reader, name):
        return
    names = [known.name for known in namespaces.with_prefix(reader, "")]
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    raise NoSuchNamespace(name, ", ".join(names[:_NAMED_MAX]) + more)


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
        act=OfAct("set a bound of the state"),
    ),
)
