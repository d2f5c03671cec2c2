"""Which path and method lead to which handler, with the exceptions that clients know.

Rules: docs/http-api.md#paths-and-methods. The paths come from the table of endpoints. A path is
matched exactly, or by what it begins with, the longest first. HEAD is not GET. What a wrong method
gets depends on the path. A prefix without its slash, and a path that is not clean, are redirected;
any other path is unknown: 404, empty.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from types import MethodType
from typing import Any, Final
from urllib.parse import quote as percent_quote

import msgspec

from quorate.api.codec.encode import redirect_response, text_response
from quorate.api.codec.params import decode_path
from quorate.api.endpoint import ANY, Context, Endpoint, Handler, Wrong
from quorate.api.http.messages import Response

_EVERY_METHOD: Final = ANY[0]

PLAIN_NAME: Final = re.compile(rb"[\w~-][\w.~-]*(?:/[\w~-][\w.~-]*)*")
"""What needs no decoding, is clean, and has no query."""


class Route(msgspec.Struct):
    """One path: a row of the table for each method, and what all other methods get."""

    wrong: Wrong
    has_tail: bool
    rows: dict[str, Endpoint] = {}


class Match(msgspec.Struct, frozen=True):
    """The row and its handler for a request, and the rest of the path below its prefix."""

    row: Endpoint
    handler: Handler
    tail: str


class Routes:
    """All paths of one server. Raises ValueError for rows that contradict each other."""

    def __init__(
        self, context: Context, behind: Callable[[Endpoint, Handler], Handler] | None = None
    ) -> None:
        """`behind` makes of a handler the one that is called, as a gate in front of it."""
        self._exact: dict[str, Route] = {}
        self._starts: dict[str, Route] = {}
        self._handlers = _handlers(context, behind)
        for row in context.table:
            self._add(row)
        # By what stands up to the last slash: a path is compared with few of them, not with all.
        self._below: dict[str, list[tuple[str, Route]]] = {}
        for start, route in sorted(self._starts.items(), key=lambda item: -len(item[0])):
            self._below.setdefault(_folder(start), []).append((start, route))
        self._plain = {
            (method, start.encode()): Match(row, self._handlers[row], "")
            for start, route in self._starts.items()
            if route.has_tail and not self._more_below(start)
            for method, row in route.rows.items()
        }
        self._slashes_max = max((start.count("/") for start in self._below), default=0)

    def _add(self, row: Endpoint) -> None:
        where = self._exact if row.start is None else self._starts
        route = where.setdefault(row.start or row.path, Route(row.wrong, row.has_tail, {}))
        if route.wrong != row.wrong:
            raise ValueError(f"{row.path}: two answers to a wrong method")
        for method in row.methods:
            if method in route.rows:
                raise ValueError(f"{row.path}: two rows for {method}")
            route.rows[method] = row

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
        row = route.rows.get(method) or route.rows.get(_EVERY_METHOD)
        if row is None:
            return text_response(route.wrong.status, route.wrong.text)
        return Match(row, self._handlers[row], tail)

    def below(self, method: str, target: bytes) -> tuple[Match, str] | None:
        """The row whose paths begin so, and the tail, of a plain target; None: see `find`.

        The short way for names of variables, which are too many to be remembered. The `tail` of
        the match itself is empty.
        """
        end = target.find(b"/", len(b"/v1/")) + 1
        match = self._plain.get((method, target[:end]))
        if match is None or not PLAIN_NAME.fullmatch(target, end):
            return None
        return match, target[end:].decode("ascii")

    def _more_below(self, start: str) -> bool:
        """Whether another row is for some of the paths that begin so."""
        return any(
            path.startswith(start) and path != start for path in (*self._starts, *self._exact)
        )

    def _redirected(self, path: str) -> tuple[int, str] | None:
        """Status and path of the redirect of this path, or None if it stays."""
        clean = cleaned(path)
        if clean + "/" in self._starts and clean not in self._exact:
            return 301, clean + "/"
        if clean != path:
            return 301, clean
        return (307, "/ui/") if path == "/" else None

    def _route(self, path: str) -> tuple[Route | None, str]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, ""
        ends: list[int] = []
        end = 0
        while len(ends) < self._slashes_max and (end := path.find("/", end) + 1):
            ends.append(end)
        for end in reversed(ends):  # the longest first
            for start, route in self._below.get(path[:end], ()):
                if path.startswith(start):
                    return route, path[len(start) :] if route.has_tail else ""
        return None, ""


def _folder(path: str) -> str:
    """The path up to its last slash, with it."""
    return path[: path.rfind("/") + 1]


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


def _handlers(
    context: Context, behind: Callable[[Endpoint, Handler], Handler] | None
) -> dict[Endpoint, Handler]:
    """The handler of each row: a method of the one object that all rows of its class share."""
    made: dict[Any, Any] = {}
    handlers: dict[Endpoint, Handler] = {}
    for row in context.table:
        if row.made_of not in made:
            made[row.made_of] = row.made_of(context)
        handler = MethodType(row.handler, made[row.made_of])
        handlers[row] = handler if behind is None else behind(row, handler)
    return handlers
