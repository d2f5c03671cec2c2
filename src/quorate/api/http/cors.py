"""CORS: pages of other sites may read the answers of rows with `cors`, and nothing else.

While access control is off, none may: a page could read all variables from the browser of one that
can reach this server. With it a page needs a token.

As of Nomad 1.4 and later for variables, but that no answer allows credentials, and that a
preflight allows GET and HEAD alone: a page of another site changes nothing here (`http.sites`).
Where the agent's `http_api_response_headers` name the allowed origin, theirs counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quorate.api.codec.encode import empty_response
from quorate.api.http.messages import Header, Request, Response, StreamResponse
from quorate.api.parts import Parts

_ANY_ORIGIN: Final = (b"Access-Control-Allow-Origin", b"*")
_METHOD: Final = b"access-control-request-method"
_HEADERS: Final = b"access-control-request-headers"
_ALLOWED: Final = frozenset({b"GET", b"HEAD"})


def asked_for_tokens(parts: Parts) -> bool:
    """Whether no caller is let in without a token; in the transition all are."""
    return parts.access.enabled and not parts.options.acl.transition


class Cors:
    """The headers of one agent. `configured` are the names of those that it adds by itself.

    `on`: callers need tokens, so pages may ask.
    """

    def __init__(self, configured: Iterable[str], *, on: bool) -> None:
        self.on = on
        names = {name.lower() for name in configured}
        origin = (_ANY_ORIGIN,) if "access-control-allow-origin" not in names else ()
        self._origin: tuple[Header, ...] = origin

    def preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks what a page may do; None if it asks no such thing."""
        method = request.header(_METHOD)
        if request.method != "OPTIONS" or not method or not self.on:
            return None
        headers: list[Header] = [
            (b"Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        ]
        if request.header(b"origin") and method in _ALLOWED:
            headers += [*self._origin, (b"Access-Control-Allow-Methods", method)]
            if request.header(_HEADERS):
                headers.append((b"Access-Control-Allow-Headers", b"X-Nomad-Token"))
        return empty_response(status=204, headers=headers)

    def readable(self, request: Request, response: Response) -> Response:
        """The answer with what lets the page that asked read it."""
        if not request.header(b"origin") or isinstance(response, StreamResponse):
            return response
        headers = (*response.headers, *self._origin, (b"Vary", b"Origin"))
        return Response(response.status, response.body, headers, handled=response.handled)
