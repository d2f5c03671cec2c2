"""`/v1/operator/raft/compact` (ours): the log of servers is compacted now. See docs/outage.md."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.acl.capability import Capability
from quorate.api.codec.encode import json_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.params import boolean
from quorate.api.endpoint import Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.shapes.compaction import Compacted, Compaction


class CompactEndpoint:
    """PUT: the server asked, one that is named, or all; it needs no leader."""

    def __init__(self, context: Context) -> None:
        self._compacting = context.parts.compacting
        self._authority = context.authority

    def put(self, call: Call) -> Awaitable[Response]:
        """The bytes of each server before and after, and what could not be done.

        Raises RequestError for a server that is not known.
        """
        every, server = boolean(call.query, "all"), call.query.first("server")
        if every and server:
            raise RequestError("Must specify only one of ?server or ?all")

        async def perform() -> Response:
            if call.request.stream is not None:  # not looked at, and bounded
                async for _ in call.request.stream:
                    pass
            found = await self._done(server, every=every)
            value = Compaction(servers=tuple(sorted(found, key=lambda each: (each.node, each.id))))
            return json_response(value, pretty=call.query.pretty)

        return self._authority.any_server(call, perform)

    async def _done(self, server: str, *, every: bool) -> list[Compacted]:
        if every:
            return await self._compacting.all()
        one = await self._compacting.one(server)
        if one is None:
            raise RequestError(
                f"no server with the ID or name {quote(server)} is known here; "
                "names have the region, as in s1.global: see raft list-peers",
                404,
            )
        return [one]


ROWS: Final = (
    Endpoint(
        path="/v1/operator/raft/compact",
        methods=("PUT", "POST"),
        made_of=CompactEndpoint,
        handler=CompactEndpoint.put,
        capability=Capability.RAFT_COMPACT,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        streams=True,  # the answer may take its time
        parameters="[?server= or ?all]",
        does="store a snapshot now, and drop the log that it has (ours)",
        act=OfAct("compact the log", ("server",), ("all",), always=True),
    ),
)
