"""The Raft node of a server, for operators (ours).

`/v1/operator/raft/views`: each server of the region, side by side; `raft/facts`: the one asked.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from quorate.api.codec.encode import json_response
from quorate.api.codec.params import boolean
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.server.views.records import ServerView
from quorate.shapes import operator as shapes
from quorate.shapes.shape import made


class ViewsEndpoint:
    """GET `views`. The server asked gathers them, whether or not anybody leads."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """One entry for each server, by name; those that did not answer say why.

        With `details` also what tells why none leads; `Asked` is the ID of the one that gathers.
        """

        async def perform() -> Response:
            views = await self._cluster.views()
            ordered = sorted(views, key=lambda view: (view.node, view.id))
            details = boolean(call.query, "details")
            value: dict[str, Any] = {
                "Servers": [_view_json(view, details=details) for view in ordered]
            }
            if details:
                value["Asked"] = views[0].id
            return json_response(value, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)


class FactsEndpoint:
    """GET `facts`. The server asked, whether or not anybody leads."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster

    def get(self, call: Call) -> Response:
        """Its log and its identity, of this moment."""
        return json_response(self._cluster.facts(), pretty=call.query.pretty)


def _view_json(view: ServerView, *, details: bool) -> dict[str, Any]:
    configuration = shapes.ConfigurationOfView(
        index=view.configuration_index,
        servers=tuple(made(shapes.VoterOfView, server) for server in view.servers),
    )
    shown = made(shapes.View, view, leader=view.leader_address, configuration=configuration)
    value: dict[str, Any] = msgspec.to_builtins(shown)
    if view.error:
        value["Configuration"] = None
    if details:
        value["Details"] = view.details
        value["Version"] = view.version
        value["Prepared"] = view.prepared
    return value
