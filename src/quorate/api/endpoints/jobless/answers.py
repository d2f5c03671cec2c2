"""Answers about jobs and nodes of a server that has none: empty lists, 404, 501.

Clients ask for these before or beside what they came for: a command line's `status` and its
archive for support end with an error where one of the lists is 404. The lists never change here,
so a blocking query waits for all of its time.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.api.blocking import Watched
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import read_headers
from quorate.api.endpoint import Context
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Response

SERVERS_ONLY: Final = (
    "this server runs no jobs and no clients: Quorate is the servers' control plane alone; "
    "send this to a cluster that schedules jobs"
)
_INDEX: Final = 1  # of a table that was never written
_ENTERPRISE: Final = text_response(501, "Nomad Enterprise only endpoint")
_ACL_DISABLED: Final = text_response(400, "ACL support disabled")
_NOT_HERE: Final = text_response(501, SERVERS_ONLY)

_MISSING: Final = {
    "/v1/allocation/": "alloc not found",
    "/v1/deployment/": "deployment not found",
    "/v1/evaluation/": "eval not found",
    "/v1/job/": "job not found",
    "/v1/node/": "node not found",
    "/v1/node/pool/": "node pool not found",
    "/v1/plugin/": "plugin not found",
    "/v1/scaling/policy/": "policy not found",
    "/v1/volume/": "volume not found",
}
"""What real servers say (404) of one that they do not know, by the start of its path."""


class JoblessEndpoint:
    """Jobs, nodes and all that belongs to them; ACL endpoints while ACLs are off; paid features."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._authority = context.authority
        options = context.parts.options
        self._name = f"{options.name}.{options.region}"
        self._watched = Watched()

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """No entry, with the headers of a read."""
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._empty_list, self._watched)

    def get_one(self, call: Call) -> Response:
        """Nothing has this name, on any server."""
        path = call.request.target.partition(b"?")[0].decode("latin-1")
        longest = max(filter(path.startswith, _MISSING), key=len, default="")
        return text_response(404, _MISSING.get(longest, "not found"))

    def refuse(self, _: Call) -> Response:
        """Nothing of this can be written here."""
        return _NOT_HERE

    def enterprise(self, _: Call) -> Response:
        """As open servers answer: the feature is sold with another edition."""
        return _ENTERPRISE

    def acl_disabled(self, _: Call) -> Response:
        """ACLs are off. Real servers say it without asking the leader."""
        return _ACL_DISABLED

    def get_schedulers(self, call: Call) -> Response:
        """No worker schedules here."""
        value = {"schedulers": [], "server_id": self._name}
        return json_response(value, pretty=call.query.pretty)

    def get_schedulers_config(self, call: Call) -> Response:
        """The settings of no workers."""
        value = {"enabled_schedulers": [], "num_schedulers": 0, "server_id": self._name}
        return json_response(value, pretty=call.query.pretty)

    def nothing_to_do(self, _: Call) -> Response:
        """Done: there are no jobs whose leavings could be collected or counted."""
        return empty_response()

    def no_debugging(self, _: Call) -> Response:
        """As from servers without `enable_debug`: what is inside a process is not shown."""
        return text_response(403, "Permission denied")

    def no_profiles(self, _: Call) -> Response:
        """No profile was named."""
        return text_response(404, "Invalid method")

    def get_keys(self, call: Call) -> Response:
        """The public keys of workload identities: none until there are root keys."""
        headers = ((b"Cache-Control", b"no-cache"),)
        return json_response({"keys": []}, pretty=call.query.pretty, headers=headers)

    def _empty_list(self, call: Call) -> Response:
        headers = read_headers(self._leadership, _INDEX)
        return json_response([], pretty=call.query.pretty, headers=headers)
