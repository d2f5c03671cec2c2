"""`/v1/agent/join`, `force-leave`, `servers` and, ours, `rejoin`. Never forwarded.

See docs/http-api.md#the-pool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final

from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.go_text import parse_bool
from quorate.api.codec.params import Query
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.shapes.agent import Joined

ADDRESSES_MAX: Final = 32
"""Addresses in one call of `agent/join`: each is looked up and dialed, all at once."""


class PoolEndpoint:
    """The requests that change this agent's place among the others."""

    def __init__(self, context: Context) -> None:
        self._pool = context.parts.pool
        self._rejoining = context.parts.rejoining

    def join(self, call: Call) -> Awaitable[Response]:
        """Join other servers. 200 even if none was reached: then `error` says why.

        One that is reached is enough; those that were not are in `warning` then.
        """
        addresses = [address for address in call.query.values.get("address", ()) if address]
        if not addresses:
            raise RequestError("missing address to join")
        if len(addresses) > ADDRESSES_MAX:
            raise RequestError(
                f"{len(addresses)} addresses to join; {ADDRESSES_MAX} are the limit of one call"
            )
        return self._join(addresses, pretty=call.query.pretty)

    async def _join(self, addresses: Sequence[str], *, pretty: bool) -> Response:
        result = await self._pool.join(addresses)
        text = several(result.errors)
        joined = result.num_joined > 0
        value = Joined(
            error="" if joined else text,
            num_joined=result.num_joined,
            warning=text if joined else "",
        )
        return json_response(value, pretty=pretty)

    def force_leave(self, call: Call) -> Awaitable[Response]:
        """Declare a failed member left; without effect for a name that is not in the pool."""
        node = call.query.first("node")
        if not node:
            raise RequestError("missing node to force leave")
        return self._force_leave(node, prune=_prune(call.query))

    async def _force_leave(self, node: str, *, prune: bool) -> Response:
        await self._pool.force_leave(node, prune=prune)
        return empty_response()

    async def rejoin(self, call: Call) -> Response:
        """Ours: come back after a removal."""
        result = await self._rejoining.rejoin()
        return json_response(result, pretty=call.query.pretty)

    def servers(self, _: Call) -> Response:
        """The servers of a client's list: there is no client here (docs/http-api.md#the-pool)."""
        return text_response(501, "Invalid method")


def several(errors: Sequence[str]) -> str:
    """Errors as one text, in the form that clients of Go programs know; empty for none."""
    if not errors:
        return ""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors) + "\n"


def _prune(query: Query) -> bool:
    if "prune" not in query.values:
        return False
    value = query.first("prune")
    prune = True if not value else parse_bool(value)
    if prune is None:
        raise RequestError("invalid prune value")
    return prune
