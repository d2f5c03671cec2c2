"""How the API is put on a port: a protocol factory, and an end without cutting anybody off.

    listener = create_protocol_factory(application, ListenerConfig())
    server = await loop.create_server(listener, "127.0.0.1", 4646)
    ...
    server.close()
    await listener.close(grace_s=5.0)

The same factory serves a connection that came in on another port and whose first bytes are
already read:

    protocol = listener()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(first_bytes)
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from uvicorn.config import Config

from quorate.api.app import HttpApplication
from quorate.api.http.asgi import AsgiApplication
from quorate.api.http.guarded import Shared
from quorate.api.http.limits import ConnectionLimiter, ListenerConfig
from quorate.api.http.protocol import QuorateHttpProtocol
from quorate.api.http.sites import Sites
from quorate.api.http.turns import Turns

__all__ = ["HttpListener", "ListenerConfig", "create_protocol_factory"]


class HttpListener:
    """Makes protocols that share one application, its limits and its count of connections.

    With `sites` browsers are answered as these say; without, no browser can be at the other end.
    """

    def __init__(
        self, application: HttpApplication, limits: ListenerConfig, sites: Sites | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(self._loop)
        self._waiter: asyncio.Future[None] | None = None
        config = Config(
            AsgiApplication(application, self._turns),
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        config.load()
        limiter = ConnectionLimiter(limits.max_conns_per_client, self._loop.time, limits.max_conns)
        self._shared = Shared(application, config, limits, limiter, turns=self._turns, sites=sites)
        self._shared.connection_lost = self._gone

    def __call__(self) -> asyncio.Protocol:
        """A protocol for one connection."""
        return QuorateHttpProtocol(self._shared)

    def serving(self, application: HttpApplication) -> asyncio.Protocol:
        """A protocol for one connection that is served by an application of its own."""
        protocol = QuorateHttpProtocol(self._shared)
        protocol.application = application
        protocol.app = AsgiApplication(application, self._turns)
        return protocol

    def end_open(self, within_s: float) -> None:
        """End the connections of now: idle ones at once, others when answered, all in that time."""
        older = list(self._shared.state.connections)
        for connection in older:
            connection.shutdown()

        def end() -> None:
            for connection in older:
                if connection in self._shared.state.connections:
                    connection.transport.abort()

        self._loop.call_later(within_s, end)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._shared.state.connections)

    async def close(self, grace_s: float) -> None:
        """Close idle connections now, the others when answered or after `grace_s` seconds.

        The listening socket is not ours: close it before.
        """
        open_now = self._shared.state.connections
        for connection in list(open_now):
            connection.shutdown()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty(), grace_s)
        unfinished: list[asyncio.Future[Any]] = [*self._shared.state.tasks, *self._shared.answers]
        for task in unfinished:
            task.cancel()
        for connection in list(open_now):
            connection.transport.abort()
        await self._empty()

    async def _empty(self) -> None:
        """Return when the last connection is gone."""
        if self.connections:
            waiter = self._waiter = self._loop.create_future()
            await waiter

    def _gone(self) -> None:
        if not self.connections and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def create_protocol_factory(
    application: HttpApplication, limits: ListenerConfig, sites: Sites | None = None
) -> HttpListener:
    """A callable that makes protocols, for `loop.create_server`; call it on the running loop."""
    return HttpListener(application, limits, sites)
