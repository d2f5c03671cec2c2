"""`/v1/vars`: the variables of a namespace, or of all, by prefix and in pages.

See docs/http-api.md#variables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from operator import attrgetter
from typing import Final

from quorate.api.blocking import Watched
from quorate.api.codec.encode import json_response
from quorate.api.codec.filters import BadFilter, Filter, Get, OutOfSteps, parsed
from quorate.api.codec.meta import read_headers, restored_header
from quorate.api.endpoint import Context
from quorate.api.endpoints.paging import NEXT_TOKEN, ROWS_MAX, page_size, too_many, wrong_token
from quorate.api.endpoints.variables.rights import may_list_all, seen_in_lists, sees_any
from quorate.api.endpoints.variables.rules import WILDCARD, namespace_of
from quorate.api.endpoints.variables.shown import metadata_of
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Header, Response
from quorate.api.request_error import RequestError
from quorate.shapes.variables import VariableMetadata
from quorate.state.engine.store import StateStore
from quorate.state.tables import variables
from quorate.state.tables.variables import Variable, key_of, listed, listed_in_all

_TABLE: Final = variables.TABLE.name

_FIELDS: Final[dict[str, Get]] = {
    "Namespace": attrgetter("namespace"),
    "Path": attrgetter("path"),
    "CreateIndex": attrgetter("create_index"),
    "ModifyIndex": attrgetter("modify_index"),
    "CreateTime": attrgetter("create_time"),
    "ModifyTime": attrgetter("modify_time"),
}
"""What filters may name."""


class VariablesEndpoint:
    """GET of a list: metadata without items."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority
        self._watched = Watched(_TABLE, prefix=_start, told=may_list_all)

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The list, sorted by namespace and path; blocking by its prefix."""
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer, self._watched)

    def _answer(self, call: Call) -> Response:
        state = self._state.readable()
        per_page = page_size(call.query)
        try:
            found, following = _page(
                _rows(call, state), per_page, _filter(call), seen_in_lists(call)
            )
        except BadFilter as error:
            raise RequestError(f"failed to read filter expression: {error}") from error
        if following is not None and not per_page:
            raise too_many("variables")
        headers: tuple[Header, ...] = (
            *read_headers(self._leadership, state.table_index(_TABLE)),
            *restored_header(state),
        )
        if following is not None:
            token = f"{following.namespace}.{following.path}"
            headers = (*headers, (NEXT_TOKEN, token.encode()))
        return json_response(found, pretty=call.query.pretty, headers=headers)


def _rows(call: Call, state: StateStore) -> Iterator[Variable]:
    """Those that the request asks for, from its token on."""
    namespace, prefix = namespace_of(call), call.query.first("prefix")
    if not sees_any(call, namespace, prefix):
        return iter(())
    token = call.query.first("next_token")
    start = ""
    if token:
        where, dot, path = token.partition(".")
        if not dot or (namespace not in {where, WILDCARD}):
            raise wrong_token()
        start = key_of(where, path)
    if namespace == WILDCARD:
        return listed_in_all(state, prefix, start)
    return listed(state, namespace, prefix, start)


def _page(
    rows: Iterator[Variable],
    per_page: int,
    chosen: Filter | None,
    seen: Callable[[Variable], bool] | None,
) -> tuple[list[VariableMetadata], Variable | None]:
    """The rows of the page, and the first one that was not looked at to its end.

    Each page gets further than the one before: BadFilter if its first row is too much already.
    What is not `seen` is in no page, and is not named as the first one of the next.
    """
    found: list[VariableMetadata] = []
    rows_max = ROWS_MAX if chosen is None else min(ROWS_MAX, chosen.rows_max)
    for looked_at, row in enumerate(rows):
        if seen is not None and not seen(row):
            if looked_at < ROWS_MAX:
                continue
            raise RequestError(
                f"more than {ROWS_MAX} variables that the token may not list stand here: give a "
                "prefix that its policies allow"
            )
        if (per_page and len(found) >= per_page) or looked_at >= rows_max:
            return found, row
        try:
            fits = chosen is None or chosen.fits(row)
        except OutOfSteps:
            if not looked_at:
                raise
            return found, row
        if fits:
            found.append(metadata_of(row))
    return found, None


def _filter(call: Call) -> Filter | None:
    """The filter, None if there is none. Raises BadFilter."""
    expression = call.query.first("filter")
    return parsed(expression, _FIELDS) if expression else None


def _start(call: Call) -> str:
    """What the keys of all rows of the list begin with."""
    namespace = namespace_of(call)
    return "" if namespace == WILDCARD else key_of(namespace, call.query.first("prefix"))
