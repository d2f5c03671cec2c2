"""Calls between servers: a verb and a JSON body, by HTTP over the RPC port.

They are not part of the public API: only the RPC port answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from quorate.errors import LevelTooLow, QuorateError
from quorate.levels import describe
from quorate.net.peer import Peer
from quorate.server.rpc.forwarding import ForwardRequest
from quorate.server.rpc.http_pool import HttpPool

CALL_PATH = "/v1/internal/"

CALL_BYTES_MAX: Final = 1024 * 1024
"""Argument of a member's call."""

STRANGERS_CALL_BYTES_MAX: Final = 16 * 1024
"""Argument of a call of others: a greeting, a request to join, a proposal of some 50 founders."""

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What `msgspec.json.decode` raises: for other JSON, for no UTF-8, for what is nested too deep."""

CALL_LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"applied": 4, "audit-records": 4, "memory": 3, "oldest-on-disk": 3, "wrapping-keys": 3}
)
"""By verb: the cluster's feature level from which on it may be asked; others may be at any.

A member that does not know a call refuses it; what must not depend on that waits for the level.
"""

T = TypeVar("T")


class Callers:
    """The calling side. `level` is the cluster's feature level as it is known here."""

    def __init__(
        self,
        pool: HttpPool,
        level: Callable[[], int],
        call_levels: Mapping[str, int] = CALL_LEVELS,
    ) -> None:
        self._pool = pool
        self._level = level
        self._call_levels = call_levels

    async def call(
        self,
        address: str,
        verb: str,
        argument: object,
        answer: type[T],
        timeout_s: float = 3.0,
        *,
        server_id: str = "",
    ) -> T:
        """Ask the server at `address`, which must be `server_id` if that is given.

        Raises QuorateError with its refusal or the transport's.
        """
        return (await self.ask(address, verb, argument, answer, timeout_s, server_id=server_id))[0]

    async def ask(
        self,
        address: str,
        verb: str,
        argument: object,
        answer: type[T],
        timeout_s: float,
        *,
        server_id: str = "",
    ) -> tuple[T, Peer | None]:
        """`call`, and the proven server that has answered; None where nothing is proven."""
        needed = self._call_levels.get(verb, 0)
        if needed > (level := self._level()):
            raise LevelTooLow(
                f"the call {verb} needs {describe(needed)}, and the cluster is of level {level}",
                "see what holds it back: quorate operator upgrade check",
            )
        request = ForwardRequest(
            method="POST",
            target=CALL_PATH + verb,
            body=msgspec.json.encode(argument),
            timeout_s=timeout_s,
        )
        response = await self._pool.request(address, request, server_id)
        if response.status != 200:
            raise QuorateError(_refusal(response.body))
        try:
            return msgspec.json.decode(response.body, type=answer), response.peer
        except UNDECODABLE as error:
            raise QuorateError(f"{address} answered {verb} with something else: {error}") from None


def _refusal(body: bytes) -> str:
    text = body[:1000].decode("utf-8", "replace")[:500]
    return "".join(c if c.isprintable() else " " for c in text).strip()
