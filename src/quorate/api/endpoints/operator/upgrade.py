"""`/v1/operator/upgrade` (ours): the cluster's feature level, and what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable

from quorate.api.codec.encode import json_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response


class UpgradeEndpoint:
    """GET. The server asked gathers it from all members, whether or not one leads."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """One entry for each member, in the order in which to restart them, the leader last."""

        async def perform() -> Response:
            found = await self._cluster.upgrade_check()
            return json_response(found, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)
