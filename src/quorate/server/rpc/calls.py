"""Calls between servers: a verb and a JSON body, by HTTP over the RPC port.

They are not part of the public API: only the RPC port answers them.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from quorate.errors import QuorateError
from quorate.server.rpc.forwarding import ForwardRequest
from quorate.server.rpc.http_pool import HttpPool

CALL_PATH = "/v1/internal/"

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What `msgspec.json.decode` raises: for other JSON, for no UTF-8, for what is nested too deep."""

T = TypeVar("T")


class Callers:
    """The calling side."""

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool

    async def call(
        self, address: str, verb: str, argument: object, answer: type[T], timeout_s: float = 3.0
    ) -> T:
        """Ask the server at `address`. Raises QuorateError with its refusal or the transport's."""
        request = ForwardRequest(
            method="POST",
            target=CALL_PATH + verb,
            body=msgspec.json.encode(argument),
            timeout_s=timeout_s,
        )
        response = await self._pool.request(address, request)
        if response.status != 200:
            raise QuorateError(response.body.decode("utf-8", "replace")[:500])
        try:
            return msgspec.json.decode(response.body, type=answer)
        except UNDECODABLE as error:
            raise QuorateError(f"{address} answered {verb} with something else: {error}") from None
