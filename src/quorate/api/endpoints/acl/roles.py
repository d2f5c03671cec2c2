"""`/v1/acl/roles`, `/v1/acl/role`, `/v1/acl/role/<id>` and `/v1/acl/role/name/<name>`.

Any caller reads the roles that its token has; all others, and writes, are for management.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from quorate.api.blocking import Watched
from quorate.api.codec.body import BodyError, Field, Shape, a_string
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.endpoint import Context
from quorate.api.endpoints.acl.common import (
    AclEndpoint,
    fields_of,
    manages,
    objects,
    own_token,
    refuse_unless,
)
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.server.access.given import RoleGiven
from quorate.server.access.shown import role_shown
from quorate.state.engine.table import Reader
from quorate.state.tables.acl import roles
from quorate.state.tables.acl.roles import AclRole

_TABLE: Final = roles.TABLE.name


def _policy_names(value: Any) -> tuple[str, ...]:
    found = objects(value)
    if any("name" not in each for each in found):
        raise BodyError("a policy has no Name")
    return tuple(each["name"] for each in found)


_BODY: Final = Shape(
    Field("ID", "id", a_string),
    Field("Name", "name", a_string),
    Field("Description", "description", a_string),
    Field("Policies", "policies", _policy_names),
)


class RolesEndpoint(AclEndpoint):
    """The list, and one role."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._all = Watched(_TABLE)
        self._list = Watched(_TABLE, prefix=_prefix)
        self._one = Watched(_TABLE, key=lambda call: call.tail)

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """The roles that the caller may see, or those whose ID begins with `prefix`."""
        self._check_on()
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_list, self._list)

    def _answer_list(self, call: Call) -> Response:
        state = self._state.readable()
        rows = state.scan(roles.TABLE, _prefix(call))
        if not manages(call):
            seen = _own(state, call)
            rows = ((role_id, row) for role_id, row in rows if role_id in seen)
        return json_response(
            [role_shown(role_id, row) for role_id, row in rows],
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, state.table_index(_TABLE)),
        )

    def get_one(self, call: Call) -> Response | Awaitable[Response]:
        """The role with the ID in the path."""
        self._check_on()
        _identified(call)
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_one, self._one)

    def get_named(self, call: Call) -> Response | Awaitable[Response]:
        """The role with the name in the path."""
        self._check_on()
        if not call.tail:
            raise RequestError("missing ACL role name")
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_named, self._all)

    def _answer_one(self, call: Call) -> Response:
        row = self._state.readable().get(roles.TABLE, call.tail)
        return self._shown(call, None if row is None else (call.tail, row))

    def _answer_named(self, call: Call) -> Response:
        return self._shown(call, roles.by_name(self._state.readable(), call.tail))

    def _shown(self, call: Call, found: tuple[str, AclRole] | None) -> Response:
        state = self._state.readable()
        own = found is not None and found[0] in _own(state, call)
        refuse_unless(manages(call) or own)
        if found is None:
            headers = read_headers(self._leadership, state.table_index(_TABLE))
            return text_response(404, "ACL role not found", headers=headers)
        headers = read_headers(self._leadership, found[1].modify_index)
        return json_response(role_shown(*found), pretty=call.query.pretty, headers=headers)

    def put(self, call: Call) -> Awaitable[Response]:
        """Make a role; replace the one whose ID the body names."""
        self._check_on()
        return self._put(call, RoleGiven(**fields_of(_BODY, call)))

    def put_one(self, call: Call) -> Awaitable[Response]:
        """Replace the role with the ID in the path."""
        self._check_on()
        _identified(call)
        given = RoleGiven(**fields_of(_BODY, call))
        if given.id != call.tail:
            raise RequestError("ACL role ID does not match request path")
        return self._put(call, given)

    def _put(self, call: Call, given: RoleGiven) -> Awaitable[Response]:
        async def perform() -> Response:
            index, role_id, role = await self._acl.put_role(given)
            return json_response(
                role_shown(role_id, role), pretty=call.query.pretty, headers=write_headers(index)
            )

        return self._authority.write(call, perform)

    def delete(self, call: Call) -> Awaitable[Response]:
        """Delete the role with the ID in the path."""
        self._check_on()
        role_id = _identified(call)

        async def perform() -> Response:
            index = await self._acl.delete_role(role_id)
            return empty_response(headers=write_headers(index))

        return self._authority.write(call, perform)


def _own(reader: Reader, call: Call) -> frozenset[str]:
    token = own_token(reader, call)
    return frozenset() if token is None else frozenset(token.roles)


def _prefix(call: Call) -> str:
    return call.query.first("prefix")


def _identified(call: Call) -> str:
    if not call.tail:
        raise RequestError("missing ACL role ID")
    return call.tail
