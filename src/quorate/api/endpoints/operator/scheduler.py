"""`/v1/operator/scheduler/configuration`, with the fields of 1.0 and 2.0.

See docs/http-api.md#autopilot-and-the-scheduler.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from quorate.api.codec.body import BodyError, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NotWritten
from quorate.shapes.settings import SchedulerAnswer, SchedulerConfiguration, SchedulerUpdate
from quorate.shapes.shape import Shown
from quorate.state.engine.commands import encode
from quorate.state.tables import scheduler
from quorate.state.tables.scheduler import ALGORITHMS, SetSchedulerConfiguration

_BODY: Final = Shape.of_struct(SchedulerConfiguration)


class SchedulerEndpoint:
    """GET, PUT and POST `configuration`."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._shown = Shown(SchedulerConfiguration)
        self._authority = context.authority

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The configuration, with the meta data of the read in headers and body."""
        return self._authority.read(call, self._answer)

    def _answer(self, call: Call) -> Response:
        state, leadership = self._state.readable(), self._leadership
        configuration = scheduler.current(state)
        if configuration is None:
            raise NotWritten("scheduler config not initialized yet")
        index = state.table_index(scheduler.TABLE.name)
        value = SchedulerAnswer(
            index=index,
            known_leader=bool(leadership.leader_address()),
            last_contact=leadership.last_contact_ms() * 1_000_000,
            scheduler_config=self._shown.of(configuration),
        )
        headers = read_headers(leadership, index)
        return json_response(value, pretty=call.query.pretty, headers=headers)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Replace the configuration; `Updated` is false if `cas` is not its modify index."""
        configuration = _read(call.request.body)
        command = encode(
            SetSchedulerConfiguration(configuration=configuration, cas=parse_cas(call.query))
        )

        def answer(index: int, written: Any) -> Response:
            return json_response(
                SchedulerUpdate(index=index, updated=written),
                pretty=call.query.pretty,
                headers=write_headers(index),
            )

        return self._authority.replicate(call, command, answer)


def _read(raw: bytes) -> scheduler.SchedulerConfiguration:
    try:
        # A PUT replaces the whole object: what it leaves out is zero, not the default.
        fields = _BODY.read_whole(raw)
    except BodyError as error:
        raise RequestError(f"Error parsing scheduler config: {error}") from error
    configuration = scheduler.SchedulerConfiguration(**fields)
    algorithm = configuration.scheduler_algorithm
    if algorithm not in ALGORITHMS:
        raise RequestError(f"invalid scheduler algorithm: {quote(algorithm)[1:-1]}")
    return configuration
