"""`/v1/operator/autopilot/configuration` and `health`.

See docs/http-api.md#autopilot-and-the-scheduler.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

import msgspec

from quorate.api.codec.body import BodyError, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NotWritten, QuorateError
from quorate.shapes import settings as shapes
from quorate.shapes.shape import Shown
from quorate.state.engine.commands import encode
from quorate.state.tables import autopilot, journal
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration

_BODY: Final = Shape.of_struct(shapes.AutopilotConfiguration)


class AutopilotEndpoint:
    """GET and PUT `configuration`, GET `health`."""

    def __init__(self, context: Context) -> None:
        self._autopilot = context.parts.autopilot
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

    def health(self, call: Call) -> Response | Awaitable[Response]:
        """How the servers do, as the leader knows it, with or without `stale`: 429 if not well."""
        query = msgspec.structs.replace(call.query, stale=False)
        return self._authority.read(msgspec.structs.replace(call, query=query), self._health)

    def _health(self, call: Call) -> Response:
        found = self._autopilot.health()
        status = 200 if found.healthy else 429
        value = msgspec.to_builtins(found)
        if not found.warnings:
            del value["Warnings"]
        del value["AuditHead"]
        with suppress(QuorateError):  # the state here is damaged: health answers all the same
            if head := journal.head(self._state.readable()):
                value["AuditHead"] = head.hex()
        return json_response(value, pretty=call.query.pretty, status=status)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Replace the configuration: `true`, or `false` if `cas` is not its modify index."""
        try:
            # A PUT replaces the whole object: what it leaves out is zero, not the default.
            fields = _BODY.read_whole(call.request.body)
        except BodyError as error:
            raise RequestError(f"Error parsing autopilot config: {error}") from error
        configuration = AutopilotConfiguration(**fields)
        command = encode(
            SetAutopilotConfiguration(configuration=configuration, cas=parse_cas(call.query))
        )

        def answer(_: int, written: Any) -> Response:
            return json_response(written, pretty=call.query.pretty)

        return self._authority.replicate(call, command, answer)
