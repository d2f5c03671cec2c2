"""`/v1/operator/autopilot/configuration` (http-api 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from quorate.api.codec.body import BodyError, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NotWritten
from quorate.shapes import settings as shapes
from quorate.shapes.shape import Shown
from quorate.state import autopilot
from quorate.state.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.commands import encode

_BODY: Final = Shape.of_struct(shapes.AutopilotConfiguration)


class AutopilotEndpoint:
    """GET and PUT `configuration`."""

    def __init__(self, context: Context) -> None:
        self._state = context.parts.state
        self._shown = Shown(shapes.AutopilotConfiguration)
        self._authority = context.authority

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The configuration."""
        return self._authority.read(call, self._answer)

    def _answer(self, call: Call) -> Response:
        configuration = autopilot.current(self._state.readable())
        if configuration is None:
            raise NotWritten("autopilot config not initialized yet")
        return json_response(self._shown.of(configuration), pretty=call.query.pretty)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Replace the configuration: `true`, or `false` if `cas` is not its modify index."""
        try:
            fields = _BODY.read(call.request.body)
        except BodyError as error:
            raise RequestError(f"Error parsing autopilot config: {error}") from error
        # A PUT replaces the whole object: what it leaves out is zero, not the default.
        configuration = AutopilotConfiguration(**{**_BODY.zeros, **fields})
        command = encode(
            SetAutopilotConfiguration(configuration=configuration, cas=parse_cas(call.query))
        )

        def answer(_: int, written: Any) -> Response:
            return json_response(written, pretty=call.query.pretty)

        return self._authority.replicate(call, command, answer)
