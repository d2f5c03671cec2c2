"""`operator upgrade check` of a server of an older version, which ends proven connections."""

from __future__ import annotations

import asyncio

import pytest
from net_servers import End

from quorate.levels import LEVEL
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.views.raft import Target, gather
from quorate.server.views.records import ServerView, VoterView
from quorate.server.views.upgrade import upgrade_view


class Old(asyncio.Protocol):
    """As the first version does with a first byte that it does not know."""

    def __init__(self, *, politely: bool) -> None:
        self._politely = politely

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        if self._politely:
            self._transport.close()
        else:
            self._transport.abort()


async def seen_by_one_of_today(address: str) -> ServerView:
    """What today's server makes of the server at this address."""
    pool = HttpPool(End("a").trust)
    try:
        callers = Callers(pool, lambda: LEVEL)
        (view,) = await gather(callers, [Target("b", "s2.global", address)])
    finally:
        pool.close()
    return view


def own() -> ServerView:
    servers = tuple(VoterView(id=i, address=f"{i}:1", voter=True, keyed=True) for i in "ab")
    return ServerView(
        id="a",
        node="s1.global",
        address="a:1",
        role="leader",
        version="0.1.0",
        level=LEVEL,
        cluster_level=LEVEL,
        servers=servers,
    )


@pytest.mark.parametrize("politely", [True, False])
def test_an_older_version_is_named_and_no_bare_error_is_shown(*, politely: bool) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Old(politely=politely), "127.0.0.1", 0)
        host, port = listener.sockets[0].getsockname()
        view = await seen_by_one_of_today(f"{host}:{port}")
        listener.close()
        found = upgrade_view(own(), [own(), view])
        (row,) = [row for row in found.servers if row.node == "s2.global"]
        assert row.level == 0
        assert "of an older version" in row.waits
        assert "upgrade it" in row.waits

    asyncio.run(scenario())


def test_a_server_that_is_down_is_of_no_version() -> None:
    async def scenario() -> None:
        listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        host, port = listener.sockets[0].getsockname()
        listener.close()
        view = await seen_by_one_of_today(f"{host}:{port}")
        found = upgrade_view(own(), [own(), view])
        (row,) = [row for row in found.servers if row.node == "s2.global"]
        assert row.level is None
        assert not row.waits
        assert "connection refused" in row.error

    asyncio.run(scenario())
