"""`/v1/operator/autopilot/configuration` (http-api 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.api.codec import body
from quorate.api.codec.body import BodyError, Field, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NotWritten
from quorate.state import autopilot
from quorate.state.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.commands import encode
from quorate.wire.go.duration import format_duration

_BODY: Final = Shape(
    Field("CleanupDeadServers", "cleanup_dead_servers", body.a_bool),
    Field("LastContactThreshold", "last_contact_threshold_ns", body.a_duration),
    Field("MaxTrailingLogs", "max_trailing_logs", body.a_uint64),
    Field("MinQuorum", "min_quorum", body.a_uint64),
    Field("ServerStabilizationTime", "server_stabilization_time_ns", body.a_duration),
    Field("EnableRedundancyZones", "enable_redundancy_zones", body.a_bool),
    Field("DisableUpgradeMigration", "disable_upgrade_migration", body.a_bool),
    Field("EnableCustomUpgrades", "enable_custom_upgrades", body.a_bool),
)

# A PUT replaces the whole object: what it leaves out is zero, not the default.
_ZERO: Final = {
    "cleanup_dead_servers": False,
    "last_contact_threshold_ns": 0,
    "max_trailing_logs": 0,
    "min_quorum": 0,
    "server_stabilization_time_ns": 0,
}


class _ConfigurationJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """In the order of today's servers, which is not sorted."""

    last_contact_threshold: str
    server_stabilization_time: str
    cleanup_dead_servers: bool
    max_trailing_logs: int
    min_quorum: int
    enable_redundancy_zones: bool
    disable_upgrade_migration: bool
    enable_custom_upgrades: bool
    create_index: int
    modify_index: int


class AutopilotEndpoint:
    """GET and PUT `configuration`."""

    def __init__(self, context: Context) -> None:
        self._state = context.parts.state
        self._authority = context.authority

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The configuration."""
        return self._authority.read(call, self._answer)

    def _answer(self, call: Call) -> Response:
        configuration = autopilot.current(self._state.readable())
        if configuration is None:
            raise NotWritten("autopilot config not initialized yet")
        return json_response(_json(configuration), pretty=call.query.pretty)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Replace the configuration: `true`, or `false` if `cas` is not its modify index."""
        try:
            fields = _BODY.read(call.request.body)
        except BodyError as error:
            raise RequestError(f"Error parsing autopilot config: {error}") from error
        configuration = AutopilotConfiguration(**{**_ZERO, **fields})
        command = encode(
            SetAutopilotConfiguration(configuration=configuration, cas=parse_cas(call.query))
        )

        def answer(_: int, written: Any) -> Response:
            return json_response(written, pretty=call.query.pretty)

        return self._authority.replicate(call, command, answer)


def _json(configuration: AutopilotConfiguration) -> _ConfigurationJson:
    return _ConfigurationJson(
        last_contact_threshold=format_duration(configuration.last_contact_threshold_ns),
        server_stabilization_time=format_duration(configuration.server_stabilization_time_ns),
        cleanup_dead_servers=configuration.cleanup_dead_servers,
        max_trailing_logs=configuration.max_trailing_logs,
        min_quorum=configuration.min_quorum,
        enable_redundancy_zones=configuration.enable_redundancy_zones,
        disable_upgrade_migration=configuration.disable_upgrade_migration,
        enable_custom_upgrades=configuration.enable_custom_upgrades,
        create_index=configuration.create_index,
        modify_index=configuration.modify_index,
    )
