"""`/v1/agent/`: this server itself, and the servers it knows. Only `host` is passed on.

See docs/http-api.md#the-pool.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Final

import msgspec

from quorate.api.codec.encode import TEXT_TYPE, json_response
from quorate.api.consistency import HOLD_S
from quorate.api.endpoint import Context
from quorate.api.endpoints.targets import Targets
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NoLeader
from quorate.server.views.records import Member
from quorate.shapes import agent as shapes

_OK: Final = "ok"


class AgentEndpoint:
    """GET `members`, `self`, `host` and `health`."""

    def __init__(self, context: Context) -> None:
        parts = context.parts
        self._agent = parts.agent
        self._authority = context.authority
        self._targets = Targets(parts)
        self._leadership = parts.leadership
        self._options = parts.options
        self._pool = parts.pool

    def get_members(self, call: Call) -> Response:
        """All known servers, of all regions."""
        options = self._options
        value = shapes.Members(
            members=tuple(_member_json(member) for member in self._pool.members()),
            server_dc=options.datacenter,
            server_name=options.name,
            server_region=options.region,
        )
        return json_response(value, pretty=call.query.pretty)

    def get_self(self, call: Call) -> Response:
        """Effective configuration, own entry in the pool, and statistics."""
        own_name = f"{self._options.name}.{self._options.region}"
        own = next((each for each in self._pool.members() if each.name == own_name), None)
        value = shapes.AgentSelf(
            config=self._options.config_view,
            member=None if own is None else _member_json(own),
            stats=self._agent.stats(),
        )
        return json_response(value, pretty=call.query.pretty)

    def get_host(self, call: Call) -> Awaitable[Response]:
        """The machine of a server: only where `enable_debug` is set, here and there."""
        self._targets.check(call, "Can only forward to either client node or server")
        return self._authority.any_server(call, partial(self._host, call))

    async def _host(self, call: Call) -> Response:
        ask = self._options.host_data
        if ask is None:
            raise RequestError("Permission denied", 403)
        target = self._targets.find(call)
        if target is not None:
            return await self._authority.ask_server(call, *target)
        return json_response(await ask(), pretty=call.query.pretty)

    def get_health(self, call: Call) -> Response | Awaitable[Response]:
        """Whether this agent works: for a server, that it takes part, and finds a leader in 5 s."""
        kind = call.query.first("type")
        if kind == "client":
            return _unhealthy("client", "client not enabled")
        if kind not in {"", "server"}:
            return json_response({}, pretty=call.query.pretty)
        problem = self._agent.health_problem()
        if problem is not None:
            return _unhealthy("server", problem)
        if self._leadership.leader_address():
            return self._healthy(call)
        return self._health_after_waiting(call)

    def _healthy(self, call: Call) -> Response:
        """What will become a problem is said, but the server does its work as yet."""
        message = self._agent.warning() or _OK
        return json_response({"server": {"message": message, "ok": True}}, pretty=call.query.pretty)

    async def _health_after_waiting(self, call: Call) -> Response:
        if await self._leadership.wait_for_leader(HOLD_S):
            return self._healthy(call)
        waiting = self._agent.waiting()
        return _unhealthy("server", "; ".join(filter(None, (NoLeader().text, waiting))))


def _unhealthy(kind: str, message: str) -> Response:
    body = msgspec.json.encode({kind: shapes.HealthOf(ok=False, message=message)})
    return Response(500, body, (TEXT_TYPE,))


def _member_json(member: Member) -> shapes.Member:
    return shapes.Member(
        addr=member.addr,
        delegate_cur=member.delegate.current,
        delegate_max=member.delegate.maximum,
        delegate_min=member.delegate.minimum,
        name=member.name,
        port=member.port,
        protocol_cur=member.protocol.current,
        protocol_max=member.protocol.maximum,
        protocol_min=member.protocol.minimum,
        status=member.status,
        tags=member.tags,
    )
