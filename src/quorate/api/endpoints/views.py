"""`/v1/operator/raft/views` (ours): what each server of the region believes, side by side."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from quorate.api.codec.encode import json_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.server.views.records import ServerView


class _VoterJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    address: str
    id: str = msgspec.field(name="ID")
    voter: bool


class _ConfigurationJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    index: int
    servers: list[_VoterJson]


class _ViewJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`configuration` is null, and all numbers are 0, where `error` says why."""

    address: str
    commit_index: int
    configuration: _ConfigurationJson | None
    error: str
    held: str
    id: str = msgspec.field(name="ID")
    last_contact_ms: int = msgspec.field(name="LastContactMs")
    last_index: int
    leader: str
    leader_id: str = msgspec.field(name="LeaderID")
    node: str
    role: str
    state: str
    term: int


class _ViewsJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    servers: list[_ViewJson]


class ViewsEndpoint:
    """GET `views`. The server asked gathers them, whether or not anybody leads."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._authority = context.authority

    def get(self, call: Call) -> Awaitable[Response]:
        """One entry for each server, by name; those that did not answer say why."""

        async def perform() -> Response:
            views = await self._cluster.views()
            ordered = sorted(views, key=lambda view: (view.node, view.id))
            value = _ViewsJson(servers=[_view_json(view) for view in ordered])
            return json_response(value, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)


def _view_json(view: ServerView) -> _ViewJson:
    configuration = _ConfigurationJson(
        index=view.configuration_index,
        servers=[
            _VoterJson(address=server.address, id=server.id, voter=server.voter)
            for server in view.servers
        ],
    )
    return _ViewJson(
        address=view.address,
        commit_index=view.commit_index,
        configuration=None if view.error else configuration,
        error=view.error,
        held=view.held,
        id=view.id,
        last_contact_ms=view.last_contact_ms,
        last_index=view.last_index,
        leader=view.leader_address,
        leader_id=view.leader_id,
        node=view.node,
        role=view.role,
        state=view.state,
        term=view.term,
    )
