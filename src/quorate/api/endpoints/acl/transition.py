"""`/v1/acl/transition` (ours): from no access control to access control (docs/acl.md)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.api.codec.encode import empty_response, json_response
from quorate.api.codec.meta import write_headers
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.endpoints.acl.common import AclEndpoint
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.shapes.acl.transition import Transition
from quorate.state.engine.commands import encode
from quorate.state.tables.acl import standing
from quorate.state.tables.acl.standing import ENFORCED, SetAclPhase


class _Body(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    ended: bool


_decode: Final = msgspec.json.Decoder(_Body).decode


class TransitionEndpoint(AclEndpoint):
    """GET how it stands at the server asked, PUT whether it has ended everywhere."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options = context.parts.options

    def get(self, call: Call) -> Response:
        """Whether this server is in transition, and what it would have refused, by caller."""
        self._check_on()
        refusals = self._access.refusals
        value = Transition(
            callers=dict(refusals.by_caller),
            configured=self._options.acl.transition,
            ended=standing.current(self._state.readable()).phase == ENFORCED,
            in_force=self._access.transition,
            requests=refusals.count,
        )
        return json_response(value, pretty=call.query.pretty)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """End the transition on all servers, or let their configurations decide again."""
        self._check_on()
        try:
            body = _decode(call.request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(f"the body is not what is expected: {error}") from None
        command = SetAclPhase(phase=ENFORCED if body.ended else "")

        def answer(index: int, _: Any) -> Response:
            return empty_response(headers=write_headers(index))

        return self._authority.replicate(call, encode(command), answer)
