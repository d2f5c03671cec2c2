"""Requests to another server: what happens when its answer never comes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quorate.errors import LeadershipLost, QuorateError
from quorate.server.rpc.forwarding import ForwardRequest
from quorate.server.rpc.http_pool import HttpPool


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes requests and never answers; its address."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it; errors that nobody fetched are failures."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unhandled.append(what))
        await scenario
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(watched())
    assert not unhandled


REQUEST = ForwardRequest(method="GET", target="/", timeout_s=5.0)


def test_what_a_former_leader_was_asked_is_given_up() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        loop = asyncio.get_running_loop()
        async with silent_server() as address:
            early = asyncio.create_task(pool.request(address, REQUEST))
            await asyncio.sleep(0.05)
            changed_at = loop.time()
            late = asyncio.create_task(pool.request(address, REQUEST))
            await asyncio.sleep(0.05)
            pool.give_up(address, changed_at)
            with pytest.raises(LeadershipLost):
                await early
            assert not late.done()
            late.cancel()
            await asyncio.wait((late,))
            pool.close()

    run(scenario())


def test_an_answer_that_comes_too_late_leaves_no_error_behind() -> None:
    async def scenario() -> None:
        pool = HttpPool()
        async with silent_server() as address:
            request = ForwardRequest(method="GET", target="/", timeout_s=0.05)
            with pytest.raises(QuorateError, match="no answer"):
                await pool.request(address, request)
            pool.close()

    run(scenario())
