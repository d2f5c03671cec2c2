"""`/v1/status/leader`, `/v1/status/peers` and `/v1/regions` (docs/http-api.md#endpoints)."""

from __future__ import annotations

from collections.abc import Awaitable

from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response


class ClusterEndpoint:
    """The answers that clients ask for first: leader, members, regions."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._directory = context.parts.directory
        self._leadership = context.parts.leadership
        self._authority = context.authority

    def get_leader(self, call: Call) -> Response | Awaitable[Response]:
        """RPC address of the leader; with `stale` empty if none is known."""
        return self._authority.read(call, self._leader)

    def get_peers(self, call: Call) -> Response | Awaitable[Response]:
        """RPC addresses of all servers of the Raft configuration, dead ones too."""
        return self._authority.read(call, self._peers)

    def get_regions(self, call: Call) -> Response:
        """Names of the regions with a live server. Answered by the server asked, always."""
        return json_response(self._directory.regions(), pretty=call.query.pretty)

    def get_license(self, _: Call) -> Response:
        """There is none: 204, as from today's open servers (docs/http-api.md#endpoints)."""
        return empty_response(status=204)

    def put_license(self, _: Call) -> Response:
        """Not here."""
        return text_response(501, "Nomad Enterprise only endpoint")

    def _leader(self, call: Call) -> Response:
        return json_response(self._leadership.leader_address(), pretty=call.query.pretty)

    def _peers(self, call: Call) -> Response:
        return json_response(self._cluster.peers(), pretty=call.query.pretty)
