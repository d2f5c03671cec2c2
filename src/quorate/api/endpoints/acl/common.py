"""Things that all endpoints of ACL have in common."""

from __future__ import annotations

from typing import Any

from quorate.acl.capability import Capability
from quorate.api.codec.body import BodyError, Shape, a_string
from quorate.api.codec.encode import json_response
from quorate.api.codec.meta import write_headers
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import PermissionDenied
from quorate.server.access.given import TokenMade
from quorate.server.access.shown import token_shown
from quorate.state.engine.table import Reader
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.policies import ANONYMOUS
from quorate.state.tables.acl.tokens import AclToken

ITEMS_MAX = 1024
"""Of one list in a body; the checks behind it are stricter."""


class AclEndpoint:
    """The base of all."""

    def __init__(self, context: Context) -> None:
        self._access = context.parts.access
        self._acl = context.parts.acl
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority

    def _check_on(self) -> None:
        """Raises RequestError while access control is off at this server."""
        if not self._access.enabled:
            raise RequestError("ACL support disabled")

    def _with_secret(self, call: Call, made: TokenMade) -> Response:
        """A token as it was just written, with its secret."""
        return json_response(
            token_shown(self._state.readable(), made.accessor, made.token, secret=made.secret),
            pretty=call.query.pretty,
            headers=write_headers(made.index),
        )


def fields_of(shape: Shape, call: Call) -> dict[str, Any]:
    """The known fields of the body. Raises RequestError."""
    try:
        return shape.read(call.request.body)
    except BodyError as error:
        raise RequestError(str(error)) from error


def objects(value: Any) -> tuple[dict[str, str], ...]:
    """A list of small objects whose fields are texts: by names in lower case. Raises BodyError."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BodyError("expected an array of objects")
    if len(value) > ITEMS_MAX:
        raise BodyError(f"more than {ITEMS_MAX} objects")
    found = []
    for each in value:
        fields = {str(name).lower(): text for name, text in each.items() if text is not None}
        known: dict[str, str] = {
            name: a_string(fields[name]) for name in ("id", "name") if name in fields
        }
        found.append(known)
    return tuple(found)


def manages(call: Call) -> bool:
    """Whether the caller has all rights."""
    return call.caller.rights.allows(Capability.MANAGEMENT)


def own_token(reader: Reader, call: Call) -> AclToken | None:
    """The row of the caller's own token; None if it has none."""
    return reader.get(tokens.TABLE, call.caller.accessor)


def own_policies(reader: Reader, call: Call) -> frozenset[str]:
    """The names of the policies that the caller has, through roles too."""
    token = own_token(reader, call)
    if token is None:
        return frozenset((ANONYMOUS,))
    return frozenset(tokens.policies_of(reader, token))


def refuse_unless(allowed: bool) -> None:
    """Raises PermissionDenied."""
    if not allowed:
        raise PermissionDenied
