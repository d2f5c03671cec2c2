"""A lock of an event loop on three processes: it outlives a leader that is the server it asks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from server_processes import Servers, running, until

from quorate.client import AsyncClient, AsyncElection, AsyncLock, LockLost

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(180)]

TTL_S = 10.0


def address(servers: Servers, number: int) -> str:
    return f"http://127.0.0.1:{servers.http[number]}"


def test_a_lock_outlives_a_leader_and_its_loss_is_told_in_time(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        first = servers.leader()
        second, third = (first + 1) % 3, (first + 2) % 3
        put = {"Items": {"k": "v"}}
        until(lambda: servers.ask(first, "/v1/var/x", "PUT", put).status == 200, "a first write")

        async def course() -> tuple[int, float]:
            """The fencing number, and how long after the last server's death the loss was told."""
            died = 0.0
            async with AsyncClient([address(servers, first), address(servers, second)]) as client:
                try:
                    async with AsyncElection(
                        client.variables, "job", "a", ttl_s=TTL_S, delay_s=0.5
                    ) as lock:
                        await asyncio.to_thread(servers.kill, first)
                        await asyncio.sleep(TTL_S + 0.2)  # more than one that is not renewed has
                        lock.check()
                        assert await AsyncElection.leader(client.variables, "job") == "a"
                        await asyncio.to_thread(servers.kill, second)
                        died = time.monotonic()
                        await asyncio.Event().wait()
                except LockLost:
                    return lock.fence, time.monotonic() - died
                raise AssertionError("no loss")

        fence, lost_after_s = asyncio.run(course())
        assert TTL_S / 3 < lost_after_s < TTL_S + 1
        servers.start(first)
        servers.leader()

        async def following() -> int:
            async with (
                AsyncClient(address(servers, third)) as client,
                AsyncLock(client.variables, "job", ttl_s=TTL_S, wait_s=60) as lock,
            ):
                return lock.fence

        assert asyncio.run(following()) > fence
