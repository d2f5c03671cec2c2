"""The way to another region: a request is passed to one of its live servers, and to one only.

A server that cannot be reached has not got the request, so the next one is asked; once a byte of it
has left, nobody else is.
"""

from __future__ import annotations

import random
from typing import Final, Protocol

from quorate.errors import NoPathToRegion, NotReached
from quorate.server.cluster.directory import Directory
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse

_TRIES: Final = 3  # each takes up to two seconds, and the asker waits


class Requests(Protocol):
    """The sender of requests (`HttpPool`)."""

    async def request(
        self, address: str, request: ForwardRequest, server_id: str = ""
    ) -> ForwardResponse:
        """Raises QuorateError; NotReached if nothing was sent."""


async def forward_to_region(
    region: str, request: ForwardRequest, *, directory: Directory, http: Requests
) -> ForwardResponse:
    """The answer of a server of that region. Raises NoPathToRegion, or the transport's error."""
    live = directory.alive(region)
    targets = [each for each in live if each.is_ours]
    if live and not targets:
        raise NoPathToRegion(f"its servers are Nomad's: ask {live[0].node} itself")
    failure: Exception = NoPathToRegion()
    for target in random.sample(targets, min(len(targets), _TRIES)):
        try:
            return await http.request(target.address, request, target.id)
        except NotReached as error:
            failure = error
    raise failure
