"""`/v1/search` and `/v1/search/fuzzy`: they find namespaces, and by prefix variables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, Final

from quorate.api.codec.body import BodyError, Field, Shape, a_string
from quorate.api.codec.encode import json_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.meta import read_headers
from quorate.api.endpoint import Context
from quorate.api.endpoints.paging import ROWS_MAX
from quorate.api.endpoints.variables.rights import seen_in_lists, sees_any
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.shapes.search import SearchAnswer
from quorate.state.engine.store import StateStore
from quorate.state.tables import namespaces, variables

FOUND_MAX: Final = 20
"""Names of one context in an answer; if there are more, the answer says that it is cut."""

_TEXT_MIN: Final = 2
_ECHO_MAX: Final = 64
_ALL: Final = "all"
_NAMESPACES: Final = "namespaces"
_VARIABLES: Final = "vars"
_CONTEXTS: Final = (
    "allocs",
    "deployment",
    "evals",
    "jobs",
    "namespaces",
    "node_pools",
    "nodes",
    "plugins",
    "quotas",
    "recommendations",
    "scaling_policy",
    "vars",
    "volumes",
)
_PREFIX: Final = Shape(Field("Prefix", "text", a_string), Field("Context", "context", a_string))
_FUZZY: Final = Shape(Field("Text", "text", a_string), Field("Context", "context", a_string))


class SearchEndpoint:
    """PUT and POST: a read whose question is in the body."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority

    def prefix(self, call: Call) -> Response | Awaitable[Response]:
        """The names, and the paths of variables, that begin so."""
        text, contexts = _asked(_PREFIX, call)
        answer = self._answer(text, contexts, str.startswith, str, paths=True)
        call.need(shown_what_it_sees)
        return self._authority.read(call, answer)

    def fuzzy(self, call: Call) -> Response | Awaitable[Response]:
        """The names that have the text in them, whatever its case."""
        text, contexts = _asked(_FUZZY, call)
        if len(text) < _TEXT_MIN:
            raise RequestError(
                f"fuzzy search query must be at least {_TEXT_MIN} characters, got {len(text)}"
            )

        def has(name: str, wanted: str) -> bool:
            return wanted.lower() in name.lower()

        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer(text, contexts, has, _with_id))

    def _answer(
        self,
        text: str,
        contexts: tuple[str, ...],
        fits: Callable[[str, str], bool],
        shown: Callable[[str], Any],
        *,
        paths: bool = False,
    ) -> Callable[[Call], Response]:
        def answer(call: Call) -> Response:
            state, leadership = self._state.readable(), self._leadership
            sees = call.caller.rights.sees_namespace
            known = (one.name for one in namespaces.with_prefix(state, ""))
            names = [name for name in known if fits(name, text) and sees(name)]
            found = {_NAMESPACES: names} if _NAMESPACES in contexts else {}
            index = state.table_index(namespaces.TABLE.name)
            if paths and _VARIABLES in contexts:
                found[_VARIABLES] = _paths(state, call, text)
                index = max(index, state.table_index(variables.TABLE.name))
            value = SearchAnswer(
                index=index,
                known_leader=bool(leadership.leader_address()),
                last_contact=leadership.last_contact_ms() * 1_000_000,
                matches={
                    each: list(map(shown, found.get(each, [])[:FOUND_MAX])) for each in contexts
                },
                truncations={each: len(found.get(each, [])) > FOUND_MAX for each in contexts},
            )
            headers = read_headers(leadership, index)
            return json_response(value, pretty=call.query.pretty, headers=headers)

        return answer


def _paths(state: StateStore, call: Call, prefix: str) -> list[str]:
    """The paths of the request's namespace that begin so, and one more than are shown.

    Of many rows that the caller may not list only the first ones are looked at.
    """
    namespace = call.query.first("namespace") or namespaces.DEFAULT
    if not sees_any(call, namespace, prefix):
        return []
    found = (
        variables.listed_in_all(state, prefix)
        if namespace == "*"
        else variables.listed(state, namespace, prefix)
    )
    seen = seen_in_lists(call)
    if seen is not None:
        found = filter(seen, islice(found, ROWS_MAX))
    return [row.path for row in islice(found, FOUND_MAX + 1)]


def _with_id(name: str) -> dict[str, str]:
    return {"ID": name}


def _asked(shape: Shape, call: Call) -> tuple[str, tuple[str, ...]]:
    """What is searched for, and in which contexts. Raises RequestError."""
    try:
        fields = shape.read_whole(call.request.body)
    except BodyError as error:
        raise RequestError(str(error)) from error
    context = fields["context"]
    if context == _ALL:
        return fields["text"], _CONTEXTS
    if context not in _CONTEXTS:
        known = " ".join(_CONTEXTS)
        raise RequestError(
            f"context must be one of [{known}] or 'all' for all contexts; "
            f"got {quote(context[:_ECHO_MAX])}"
        )
    return fields["text"], (context,)
