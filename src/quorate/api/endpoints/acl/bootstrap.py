"""`/v1/acl/bootstrap`: the first token.

Nobody has a right before there is a token, so the first who asks gets all of them. Without a secret
that the operator has chosen only a caller on a server's own machine does.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.api.codec.body import Field, Shape, a_string
from quorate.api.codec.encode import json_response
from quorate.api.codec.meta import write_headers
from quorate.api.endpoints.acl.common import AclEndpoint, fields_of
from quorate.api.http.messages import Call, Response
from quorate.errors import PermissionDenied
from quorate.server.access.shown import token_shown

_BODY: Final = Shape(Field("BootstrapSecret", "secret", a_string))


class BootstrapEndpoint(AclEndpoint):
    """PUT and POST."""

    def put(self, call: Call) -> Awaitable[Response]:
        """Make the first token, with the secret in the body if one is given."""
        self._check_on()
        secret = fields_of(_BODY, call).get("secret", "") if call.request.body else ""
        if not secret and call.admission is not None and not call.admission.near:
            raise PermissionDenied(
                "without a BootstrapSecret the first token is made over the control socket: "
                "-address=unix://<data_dir>/control.sock",
                "ask over the control socket, or give a UUID of yours as BootstrapSecret",
            )

        async def perform() -> Response:
            made = await self._acl.bootstrap(secret)
            state = self._state.readable()
            return json_response(
                token_shown(state, made.accessor, made.token, secret=made.secret),
                pretty=call.query.pretty,
                headers=write_headers(made.index),
            )

        return self._authority.write(call, perform)
