"""`/v1/acl/tokens`: all tokens without their secrets, by age or by prefix of the accessor."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from itertools import dropwhile
from typing import Final

from quorate.api.blocking import Watched
from quorate.api.codec.encode import json_response
from quorate.api.codec.filters import BadFilter, Filter, Get, OutOfSteps, parsed
from quorate.api.codec.go_text import parse_uint64
from quorate.api.codec.meta import read_headers
from quorate.api.codec.params import boolean
from quorate.api.endpoint import Context
from quorate.api.endpoints.acl.common import AclEndpoint
from quorate.api.endpoints.paging import NEXT_TOKEN, ROWS_MAX, page_size, too_many, wrong_token
from quorate.api.http.messages import Call, Header, Response
from quorate.api.request_error import RequestError
from quorate.server.access.shown import token_listed
from quorate.shapes.acl.objects import TokenListed
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.tokens import AclToken
from quorate.wire.go.time import format_time

_TABLE: Final = tokens.TABLE.name

Row = tuple[str, AclToken]

_FIELDS: Final[dict[str, Get]] = {
    "AccessorID": lambda row: str(row[0]),
    "Name": lambda row: str(row[1].name),
    "Type": lambda row: str(row[1].type),
    "Global": lambda row: str(row[1].is_global).lower(),
    "CreateIndex": lambda row: int(row[1].create_index),
    "ModifyIndex": lambda row: int(row[1].modify_index),
    "CreateTime": lambda row: format_time(row[1].create_time),
    "ExpirationTime": lambda row: format_time(row[1].expires) if row[1].expires else "",
    "Policies": lambda row: ",".join(row[1].policies),
}
"""What filters may name."""


class TokensEndpoint(AclEndpoint):
    """GET of a list, for management."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._watched = Watched(_TABLE, prefix=_prefix)

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """All tokens, the oldest first; with `prefix` those whose accessor begins so, in order."""
        self._check_on()
        return self._authority.read(call, self._answer, self._watched)

    def _answer(self, call: Call) -> Response:
        state = self._state.readable()
        per_page = page_size(call.query)
        expression = call.query.first("filter")
        try:
            chosen = parsed(expression, _FIELDS) if expression else None
            found, following = _page(call, state, per_page, chosen)
        except BadFilter as error:
            raise RequestError(f"failed to read filter expression: {error}") from error
        if following is not None and not per_page:
            raise too_many("tokens")
        headers: tuple[Header, ...] = read_headers(self._leadership, state.table_index(_TABLE))
        if following is not None:
            token = f"{following[1].create_index}.{following[0]}"
            headers = (*headers, (NEXT_TOKEN, token.encode()))
        return json_response(found, pretty=call.query.pretty, headers=headers)


def _page(
    call: Call, state: StateStore, per_page: int, chosen: Filter | None
) -> tuple[list[TokenListed], Row | None]:
    """The rows of the page, and the first one that was not looked at to its end."""
    globals_only = boolean(call.query, "global")
    rows_max = ROWS_MAX if chosen is None else min(ROWS_MAX, chosen.rows_max)
    found: list[TokenListed] = []
    for looked_at, row in enumerate(_rows(call, state)):
        if (per_page and len(found) >= per_page) or looked_at >= rows_max:
            return found, row
        if globals_only and not row[1].is_global:
            continue
        try:
            fits = chosen is None or chosen.fits(row)
        except OutOfSteps:
            if not looked_at:
                raise
            return found, row
        if fits:
            found.append(token_listed(state, *row))
    return found, None


def _rows(call: Call, state: StateStore) -> Iterator[Row]:
    """Those that the request asks for, from its token on."""
    prefix, start = _prefix(call), _start(call)
    if not prefix:
        return tokens.by_age(state, start)
    accessor = "" if start is None else start[1]
    rows = state.scan(tokens.TABLE, prefix)
    return dropwhile(lambda row: row[0] < accessor, rows)


def _start(call: Call) -> tuple[int, str] | None:
    token = call.query.first("next_token")
    if not token:
        return None
    create_index, dot, accessor = token.partition(".")
    if not dot:
        raise wrong_token()
    try:
        return parse_uint64(create_index), accessor
    except ValueError:
        raise wrong_token() from None


def _prefix(call: Call) -> str:
    return call.query.first("prefix")
