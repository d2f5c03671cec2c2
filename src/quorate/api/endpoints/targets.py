"""From `server_id` to the server that has to answer (docs/http-api.md#one-server-of-many)."""

from __future__ import annotations

from typing import Final, NamedTuple

from quorate.api.http.messages import Call
from quorate.api.parts import Parts
from quorate.api.request_error import RequestError
from quorate.errors import NoLeader

LEADER: Final = "leader"
_ECHO_MAX: Final = 64


class Target(NamedTuple):
    """Another server."""

    server_id: str
    region: str


class Targets:
    """The servers that this one knows, by ID and by name."""

    def __init__(self, parts: Parts) -> None:
        self._options = parts.options
        self._leadership = parts.leadership
        self._cluster = parts.cluster
        self._pool = parts.pool

    def check(self, call: Call, both: str) -> None:
        """Raises RequestError where no server is asked for; `both`: what is said of two."""
        wanted, node = call.query.first("server_id"), call.query.first("node_id")
        if wanted and node:
            raise RequestError(both)
        if node:
            raise RequestError("this server has no clients: give server_id", 501)

    def find(self, call: Call) -> Target | None:
        """The other server that is asked for; None: it is this one.

        Raises RequestError for one that is not known, NoLeader.
        """
        wanted = call.query.first("server_id")
        region = self._options.region
        if not wanted or (wanted == LEADER and self._leadership.is_leader()):
            return None
        if wanted == LEADER:
            for server in self._cluster.raft_configuration().servers:
                if server.leader:
                    return Target(server.id, region)
            raise NoLeader
        own = f"{self._options.name}.{region}"
        if wanted == own:
            return None
        for member in self._pool.members():
            server_id = member.tags.get("id", "")
            if wanted in {member.name, server_id}:
                other = Target(server_id, member.tags.get("region", region))
                return None if member.name == own else other
        raise RequestError(f"unknown Nomad server {wanted[:_ECHO_MAX]}")
