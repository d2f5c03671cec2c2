"""`/v1/operator/upgrade` (ours): the cluster's feature level, and what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from quorate.api.codec.encode import json_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.server.views.records import UpgradeRow


class _ServerJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`level` is null where `error` says why; `waits` is why it holds the level back."""

    address: str
    error: str
    held: str
    id: str = msgspec.field(name="ID")
    leader: bool
    level: int | None
    node: str
    version: str
    voter: bool
    waits: str


class _UpgradeJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    goal: int
    level: int
    may_mix: str
    servers: list[_ServerJson]


class UpgradeEndpoint:
    """GET. The server asked gathers it from all members, whether or not one leads."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """One entry for each member, in the order in which to restart them, the leader last."""

        async def perform() -> Response:
            found = await self._cluster.upgrade_check()
            value = _UpgradeJson(
                goal=found.goal,
                level=found.level,
                may_mix=found.may_mix,
                servers=[_server_json(row) for row in found.servers],
            )
            return json_response(value, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)


def _server_json(row: UpgradeRow) -> _ServerJson:
    return _ServerJson(
        address=row.address,
        error=row.error,
        held=row.held,
        id=row.id,
        leader=row.leader,
        level=row.level,
        node=row.node,
        version=row.version,
        voter=row.voter,
        waits=row.waits,
    )
