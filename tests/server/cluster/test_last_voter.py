"""A server that leaves: what it is told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Configuration, Server
from quorate.server.cluster.leaving import Leaving


def test_the_last_voter_says_so_before_anybody_leads_again() -> None:
    """The second to last one led, and has left a moment ago."""
    node = SimpleNamespace(configuration=Configuration((Server("a", "127.0.0.1:1"),)))
    replica = SimpleNamespace(server_id="a", is_leader=False, node=node)

    async def no_leader(timeout_s: float) -> bool:
        await asyncio.sleep(timeout_s)
        return False

    nobody = cast("Any", None)
    leaving = Leaving(cast("Any", replica), nobody, nobody, no_leader)
    with pytest.raises(QuorateError, match="does not leave: it is the last voter"):
        asyncio.run(leaving.leave_configuration())
