"""`/v1/operator/audit` (ours): who did what, and the chain that shows changes (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec

from quorate.acl.capability import Capability
from quorate.api.codec.encode import json_response
from quorate.api.endpoint import Consistency, Context, Endpoint, Forwarding
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.net.threads import in_thread
from quorate.server.audit.view import audit_log
from quorate.state.tables.journal import LANES

_COUNT_MAX: Final = 10_000


class AuditEndpoint:
    """GET of what the server asked holds."""

    def __init__(self, context: Context) -> None:
        self._state = context.parts.state
        self._recorder = context.parts.recorder
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """The lanes and their records; `lane` and `count` choose. Raises RequestError."""
        lane, count = call.query.first("lane"), call.query.first("count")
        if lane not in {"", *LANES}:
            raise RequestError(f"lane is one of: {', '.join(LANES)}")
        if count and not (count.isascii() and count.isdigit() and 0 < int(count[:6]) <= _COUNT_MAX):
            raise RequestError(f"count is 1 to {_COUNT_MAX}")

        async def perform() -> Response:
            image = self._state.readable().image()
            found = await in_thread(
                lambda: audit_log(image, self._recorder.server_id, lane=lane, most=int(count or 0))
            )
            waiting, damaged = self._recorder.standing()
            shown = msgspec.structs.replace(found, waiting=waiting, damaged=damaged)
            return json_response(shown, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)


ROWS: Final = (
    Endpoint(
        path="/v1/operator/audit",
        methods=("GET",),
        made_of=AuditEndpoint,
        handler=AuditEndpoint.get,
        capability=Capability.AUDIT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        parameters="[?lane=&count=]",
        does="who did what, as the server asked knows it, and the chain of it (ours)",
    ),
)
