"""`/v1/acl/bootstrap`: the first token.

Nobody has a right before there is a token, so the first who asks gets all of them. Without a secret
that the operator has chosen only a caller on a server's own machine does.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.api.codec.body import Field, Shape, a_string
from quorate.api.endpoints.acl.common import AclEndpoint, fields_of
from quorate.api.http.messages import Call, Response
from quorate.errors import PermissionDenied

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
            return self._with_secret(call, await self._acl.bootstrap(secret))

        return self._authority.write(call, perform)
