"""`/v1/acl/tokens`, `/v1/acl/token`, `/v1/acl/token/self` and `/v1/acl/token/<accessor>`.

Any caller reads its own token; all others, and writes, are for management.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from quorate.acl.caller import ANONYMOUS_ACCESSOR
from quorate.api.blocking import Watched
from quorate.api.codec.body import BodyError, Field, Shape, a_bool, a_string, an_int64, strings
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.endpoint import Context
from quorate.api.endpoints.acl.common import AclEndpoint, fields_of, manages, objects, refuse_unless
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Header, Response
from quorate.api.request_error import RequestError
from quorate.server.access.given import RoleNamed, TokenGiven
from quorate.server.access.resolving import ANONYMOUS_NAME
from quorate.server.access.shown import token_shown
from quorate.shapes.acl import objects as shapes
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.policies import ANONYMOUS
from quorate.state.tables.acl.tokens import CLIENT
from quorate.wire.go.duration import parse_short_duration
from quorate.wire.go.time import parse_time

BEHIND_HEADER: Final = b"X-Quorate-Behind"
"""Of the answer to a deletion: the live servers that have not applied it yet."""

_TABLE: Final = tokens.TABLE.name
_NOT_FOUND: Final = "ACL token not found"


_GO_ZERO_TIME: Final = parse_time("0001-01-01T00:00:00Z")
"""A time that is not given, as programs in Go write it."""


def _ttl(value: Any) -> int:
    if not isinstance(value, str):
        return an_int64(value)
    try:
        return parse_short_duration(value) if value else 0
    except ValueError as error:
        raise RequestError(str(error)) from None  # without the field's name, as captured


def _time(value: Any) -> int:
    try:
        given = parse_time(a_string(value))
    except ValueError as error:
        raise BodyError(str(error)) from None
    return 0 if given == _GO_ZERO_TIME else given


def _roles(value: Any) -> tuple[RoleNamed, ...]:
    return tuple(RoleNamed(each.get("id", ""), each.get("name", "")) for each in objects(value))


_BODY: Final = Shape(
    Field("AccessorID", "accessor", a_string),
    Field("Name", "name", a_string),
    Field("Type", "type", a_string),
    Field("Policies", "policies", strings),
    Field("Roles", "roles", _roles),
    Field("Global", "is_global", a_bool),
    Field("ExpirationTTL", "ttl_ns", _ttl),
    Field("ExpirationTime", "expires", _time),
)


class TokenEndpoint(AclEndpoint):
    """One token."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._one = Watched(_TABLE, key=lambda call: call.tail)
        self._self = Watched(_TABLE, key=lambda call: call.caller.accessor, told=lambda *_: True)

    # -- reading -----------------------------------------------------------------------------------

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The token with the accessor in the path, with its secret."""
        self._check_on()
        _identified(call)
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer, self._one)

    def _answer(self, call: Call) -> Response:
        refuse_unless(manages(call) or call.caller.accessor == call.tail)
        return self._shown(call, call.tail)

    def get_self(self, call: Call) -> Response | Awaitable[Response]:
        """The caller's own token, with its secret."""
        self._check_on()
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_self, self._self)

    def _answer_self(self, call: Call) -> Response:
        accessor = call.caller.accessor
        if accessor != ANONYMOUS_ACCESSOR:
            return self._shown(call, accessor)
        nobody = shapes.Token(
            accessor_id=accessor, name=ANONYMOUS_NAME, type=CLIENT, policies=(ANONYMOUS,)
        )
        index = self._state.readable().table_index(_TABLE)
        headers = read_headers(self._leadership, index)
        return json_response(nobody, pretty=call.query.pretty, headers=headers)

    def _shown(self, call: Call, accessor: str) -> Response:
        state = self._state.readable()
        token = state.get(tokens.TABLE, accessor)
        if token is None:
            headers = read_headers(self._leadership, state.table_index(_TABLE))
            return text_response(404, _NOT_FOUND, headers=headers)
        secret = self._acl.secret_of(accessor, token)
        return json_response(
            token_shown(state, accessor, token, secret=secret),
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, token.modify_index),
        )

    # -- writing -----------------------------------------------------------------------------------

    def put(self, call: Call) -> Awaitable[Response]:
        """Make a token; replace the one whose accessor the body names, but for its secret."""
        self._check_on()
        return self._put(call, TokenGiven(**fields_of(_BODY, call)))

    def put_one(self, call: Call) -> Awaitable[Response]:
        """Replace the token with the accessor in the path, but for its secret."""
        self._check_on()
        _identified(call)
        given = TokenGiven(**fields_of(_BODY, call))
        if given.accessor != call.tail:
            raise RequestError("ACL token accessor does not match request path")
        return self._put(call, given)

    def _put(self, call: Call, given: TokenGiven) -> Awaitable[Response]:
        async def perform() -> Response:
            return self._with_secret(call, await self._acl.put_token(given))

        return self._authority.write(call, perform)

    def delete(self, call: Call) -> Awaitable[Response]:
        """Delete the token with the accessor in the path.

        The answer names the live servers that may still answer by it for a moment.
        """
        self._check_on()
        accessor = _identified(call)

        async def perform() -> Response:
            done = await self._acl.delete_token(accessor)
            headers: tuple[Header, ...] = write_headers(done.index)
            if done.behind:
                headers = (*headers, (BEHIND_HEADER, ", ".join(done.behind).encode()))
            return empty_response(headers=headers)

        return self._authority.write(call, perform)


def _identified(call: Call) -> str:
    if not call.tail:
        raise RequestError("Missing Token Accessor")
    return call.tail
