"""The HTTP port: plain, or by TLS."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from quorate.api.http.listener import HttpListener
from quorate.config.checks.network import http_binds
from quorate.config.model import AgentConfig
from quorate.net.listening import accept, accept_tls, naming
from quorate.net.tls.accepting import ENDED_WITHIN_S, Opening, TlsServer
from quorate.server.refusals import RefusalLog

if TYPE_CHECKING:  # what reads certificates is loaded by a server that has some
    from quorate.net.tls.keeper import TlsKeeper

_BACKLOG = 1024


async def listen_http(
    config: AgentConfig, factory: HttpListener, tls: TlsKeeper | None
) -> list[asyncio.Server | TlsServer]:
    """Listen at all addresses of the HTTP API. Raises QuorateError naming the one that fails."""
    listeners: list[asyncio.Server | TlsServer] = []
    refused = RefusalLog(time.monotonic)
    for bind in http_binds(config):
        with naming("http", bind.host, bind.port):
            if tls is None or not tls.http:
                listeners.append(await accept(factory, bind.host, bind.port, backlog=_BACKLOG))
                continue
            listeners.append(
                await accept_tls(
                    *(factory, bind.host, bind.port, tls, Opening.AT_ONCE),
                    backlog=_BACKLOG,
                    handshake_timeout_s=config.limits.https_handshake_timeout_ns / 1e9,
                    refused=refused.tell,
                )
            )
    if tls is not None and tls.http:
        tls.on_replaced.append(lambda: factory.end_open(ENDED_WITHIN_S))
    return listeners
