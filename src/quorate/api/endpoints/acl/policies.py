"""`/v1/acl/policies` and `/v1/acl/policy/<name>`.

Any caller reads the policies that it has; all others, and writes, are for management.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.api.blocking import Watched
from quorate.api.codec.body import Field, Shape, a_string
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.endpoint import Context
from quorate.api.endpoints.acl.common import (
    AclEndpoint,
    fields_of,
    manages,
    own_policies,
    refuse_unless,
)
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.server.access.shown import policy_listed, policy_shown
from quorate.state.tables.acl import policies

_TABLE: Final = policies.TABLE.name
_BODY: Final = Shape(
    Field("Name", "name", a_string),
    Field("Description", "description", a_string),
    Field("Rules", "rules", a_string),
)


class PoliciesEndpoint(AclEndpoint):
    """The list, and one policy."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._list = Watched(_TABLE, prefix=_prefix)
        self._one = Watched(_TABLE, key=lambda call: call.tail)

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """The policies that the caller may see, or those whose name begins with `prefix`."""
        self._check_on()
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_list, self._list)

    def _answer_list(self, call: Call) -> Response:
        state = self._state.readable()
        rows = state.scan(policies.TABLE, _prefix(call))
        if not manages(call):
            seen = own_policies(state, call)
            rows = ((name, row) for name, row in rows if name in seen)
        return json_response(
            [policy_listed(row) for _, row in rows],
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, state.table_index(_TABLE)),
        )

    def get_one(self, call: Call) -> Response | Awaitable[Response]:
        """The policy named in the path."""
        self._check_on()
        _named(call)
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_one, self._one)

    def _answer_one(self, call: Call) -> Response:
        state = self._state.readable()
        refuse_unless(manages(call) or call.tail in own_policies(state, call))
        row = policies.by_name(state, call.tail)
        if row is None:
            headers = read_headers(self._leadership, state.table_index(_TABLE))
            return text_response(404, "ACL policy not found", headers=headers)
        headers = read_headers(self._leadership, row.modify_index)
        return json_response(policy_shown(row), pretty=call.query.pretty, headers=headers)

    def put(self, call: Call) -> Awaitable[Response]:
        """Write the policy named in the path: all of it, what the body leaves out is empty."""
        self._check_on()
        name = _named(call)
        fields = fields_of(_BODY, call)
        if fields.get("name", "") != name:
            raise RequestError("ACL policy name does not match request path")
        description, rules = fields.get("description", ""), fields.get("rules", "")

        async def perform() -> Response:
            index = await self._acl.put_policy(name, description, rules)
            return empty_response(headers=write_headers(index))

        return self._authority.write(call, perform)

    def delete(self, call: Call) -> Awaitable[Response]:
        """Delete the policy named in the path; one that is not there is no error."""
        self._check_on()
        name = _named(call)

        async def perform() -> Response:
            index = await self._acl.delete_policy(name)
            return empty_response(headers=write_headers(index))

        return self._authority.write(call, perform)


def _prefix(call: Call) -> str:
    return call.query.first("prefix")


def _named(call: Call) -> str:
    if not call.tail:
        raise RequestError("Missing Policy Name")
    return call.tail
