"""Which path and method lead to which handler, with the exceptions that clients know.

Rules: http-api 1.1. A path is matched exactly, or by a prefix that ends in a slash; below
`/v1/operator/raft/` the rest is compared by prefix again. HEAD is not GET. What a wrong method
gets depends on the path. A prefix without its slash, and a path that is not clean, are
redirected; any other path is unknown: 404, empty.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote as percent_quote

import msgspec

from quorate.api.codec.encode import redirect_response, text_response
from quorate.api.codec.params import decode_path
from quorate.api.context import Context, Handler
from quorate.api.endpoints import cluster, pages, pool
from quorate.api.endpoints.agent import AgentEndpoint
from quorate.api.endpoints.autopilot import AutopilotEndpoint
from quorate.api.endpoints.cluster import ClusterEndpoint
from quorate.api.endpoints.keyring import KeyringEndpoint
from quorate.api.endpoints.metrics import MetricsEndpoint
from quorate.api.endpoints.namespaces import NamespacesEndpoint
from quorate.api.endpoints.pool import PoolEndpoint
from quorate.api.endpoints.raft import RaftConfiguration, RaftPeer, TransferLeadership
from quorate.api.endpoints.scheduler import SchedulerEndpoint
from quorate.api.endpoints.upgrade import UpgradeEndpoint
from quorate.api.endpoints.views import ViewsEndpoint
from quorate.api.http.messages import Response

INVALID_METHOD: Final = "Invalid method"


class Route(msgspec.Struct, frozen=True):
    """One path: a handler for each method, and what all other methods get."""

    handlers: Mapping[str, Handler]
    wrong_status: int = 405
    wrong_text: str = INVALID_METHOD
    otherwise: Handler | None = None  # answers every method that has no handler of its own


class Prefix(msgspec.Struct, frozen=True):
    """All paths below one that ends in a slash.

    `below` leads by prefix of the rest, first match, to a route; where none matches it is 404
    with the text `Invalid method`. `at` answers every path below, with the rest as `Call.tail`.
    """

    at: Route | None = None
    below: Mapping[str, Route] = MappingProxyType({})


class Match(msgspec.Struct, frozen=True):
    """The handler for a request, and the rest of the path below its prefix."""

    handler: Handler
    tail: str


class Routes:
    """All paths of one server."""

    def __init__(self, context: Context) -> None:
        self.exact: dict[str, Route] = _exact_routes(context)
        self.prefixes: dict[str, Prefix] = _prefix_routes(context)

    def find(self, method: str, target: bytes) -> Match | Response:
        """The handler for this method and target, or the response to give at once."""
        raw_target, mark, raw_query = target.partition(b"?")
        raw_path = path_of(raw_target)
        path = None if raw_path is None else decode_path(raw_path)
        if path is None:
            return text_response(400, "the request target is no valid path", handled=False)
        redirected = self._redirected(path)
        if redirected is not None:
            status, location = redirected
            query = (mark + raw_query).decode("latin-1")
            return redirect_response(status, percent_quote(location) + query, method=method)
        route, tail = self._route(path)
        if route is None:
            return text_response(404, "", handled=False)
        handler = route.handlers.get(method, route.otherwise)
        if handler is None:
            return text_response(route.wrong_status, route.wrong_text)
        return Match(handler, tail)

    def _redirected(self, path: str) -> tuple[int, str] | None:
        """Status and path of the redirect of this path, or None if it stays."""
        clean = cleaned(path)
        if clean + "/" in self.prefixes and clean not in self.exact:
            return 301, clean + "/"
        if clean != path:
            return 301, clean
        return (307, "/ui/") if path == "/" else None

    def _route(self, path: str) -> tuple[Route | None, str]:
        exact = self.exact.get(path)
        if exact is not None:
            return exact, ""
        for start, prefix in self.prefixes.items():
            if path.startswith(start):
                tail = path[len(start) :]
                return prefix.at or _below(prefix, tail), tail
        return None, ""


def path_of(raw_target: bytes) -> bytes | None:
    """The path of a target without its query: of a whole URL too, None if it has no path."""
    if raw_target.startswith(b"/"):
        return raw_target
    scheme, found, rest = raw_target.partition(b"://")
    if not found or scheme.lower() not in {b"http", b"https"}:
        return None
    _, slash, path = rest.partition(b"/")
    return slash + path or b"/"


def cleaned(path: str) -> str:
    """The path without empty, `.` and `..` parts; a slash at the end stays."""
    if "//" not in path and "/." not in path and path.startswith("/"):
        return path
    clean = posixpath.normpath("/" + path.lstrip("/"))
    ends_in_slash = path.endswith("/") and clean != "/"
    return clean + "/" if ends_in_slash else clean


def _below(prefix: Prefix, tail: str) -> Route:
    for start, route in prefix.below.items():
        if tail.startswith(start):
            return route
    return _NOTHING_BELOW


_NOTHING_BELOW: Final = Route({}, wrong_status=404)


def _exact_routes(context: Context) -> dict[str, Route]:
    agent, status = AgentEndpoint(context), ClusterEndpoint(context)
    autopilot, scheduler = AutopilotEndpoint(context), SchedulerEndpoint(context)
    namespaces, members = NamespacesEndpoint(context), PoolEndpoint(context)
    return {
        "/v1/agent/force-leave": Route({"PUT": members.force_leave, "POST": members.force_leave}),
        "/v1/agent/health": Route({"GET": agent.get_health}),
        "/v1/agent/join": Route({"PUT": members.join, "POST": members.join}),
        "/v1/agent/members": Route({"GET": agent.get_members}),
        "/v1/agent/rejoin": Route({"PUT": members.rejoin, "POST": members.rejoin}),
        "/v1/agent/self": Route({"GET": agent.get_self}),
        "/v1/agent/servers": Route(dict.fromkeys(("GET", "PUT", "POST"), pool.get_servers)),
        "/v1/metrics": Route({"GET": MetricsEndpoint(context).get}),
        "/v1/namespace": Route({}),
        "/v1/namespaces": Route({"GET": namespaces.get_list}),
        "/v1/operator/autopilot/configuration": Route(
            {"GET": autopilot.get, "PUT": autopilot.put}, wrong_status=404
        ),
        "/v1/operator/license": Route({"GET": cluster.get_license, "PUT": cluster.put_license}),
        "/v1/operator/scheduler/configuration": Route(
            {"GET": scheduler.get, "PUT": scheduler.put, "POST": scheduler.put}
        ),
        "/v1/operator/upgrade": Route({"GET": UpgradeEndpoint(context).get}),
        "/v1/regions": Route({"GET": status.get_regions}),
        "/v1/status/leader": Route({"GET": status.get_leader}),
        "/v1/status/peers": Route({"GET": status.get_peers}),
    }


def _prefix_routes(context: Context) -> dict[str, Prefix]:
    transfer = TransferLeadership(context)
    raft = {
        "configuration": Route({"GET": RaftConfiguration(context).get}, wrong_text=""),
        "peer": Route({"DELETE": RaftPeer(context).delete}, wrong_status=404),
        "transfer-leadership": Route({"PUT": transfer.put, "POST": transfer.put}),
        "views": Route({"GET": ViewsEndpoint(context).get}),
    }
    return {
        "/v1/agent/keyring/": Prefix(Route({}, otherwise=KeyringEndpoint(context).handle)),
        "/v1/operator/raft/": Prefix(below=raft),
        "/v1/namespace/": Prefix(Route({"GET": NamespacesEndpoint(context).get_one})),
        "/ui/": Prefix(Route({"GET": pages.get_ui})),
    }
