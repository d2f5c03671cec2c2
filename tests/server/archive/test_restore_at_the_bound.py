"""A restore that is many times as large as the bound of the log waits for room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from api_running import asynchronous
from archive_builders import MADE_S, archive_of, some_state, state_bytes
from lengths import cases
from server_cluster import ServerCluster, cluster
from test_archive_restore import alike, at_the_level, put

from quorate.errors import ApplyTimeout
from quorate.raft import Settings
from quorate.server.writes import Writes
from quorate.state.engine.commands import encode
from quorate.state.tables import variables
from quorate.state.tables.variables import PutVariable

BOUND = 4 << 20  # a quarter of the lowest that a server takes
VALUE = bytes(60_000)


def archive_with(count: int) -> bytes:
    store = some_state()
    for number in range(count):
        command = PutVariable(
            namespace="default", path=f"app/{number:04}", time_ns=1, data=VALUE, key_id=""
        )
        assert store.apply(10 + number, encode(command)) is not None
    index = 9 + count
    made = {"id": f"2-{index}-{MADE_S}000", "index": index}
    return archive_of(state_bytes(store), **made, quorate_state_index=index)


async def largest(servers: ServerCluster, sizes: list[int]) -> None:
    while True:
        sizes.append(max(s.replica.log.size_bytes() for s in servers.running.values()))
        await asyncio.sleep(0.002)


@pytest.mark.parametrize(("count", "times"), cases([], [(1, 2), (3, 4)]))
@asynchronous
async def test_a_restore_waits_at_the_bound_of_the_log(
    tmp_path: Path, count: int, times: int
) -> None:
    wanted = times * BOUND // len(VALUE)
    archive = await asyncio.to_thread(archive_with, wanted)
    settings = Settings(log_bytes_max=BOUND)
    async with cluster(tmp_path, count, settings=settings) as servers:
        number = await at_the_level(servers)
        sizes: list[int] = []
        watching = asyncio.create_task(largest(servers, sizes))
        answer = await put(servers, number, archive, "?force")
        assert (answer.status, answer.body) == (200, b"")
        await alike(servers)
        watching.cancel()
        assert max(sizes) <= BOUND
        for server in servers.running.values():
            assert len(server.machine.store.rows(variables.TABLE)) == wanted
        assert not servers.fatal


@asynchronous
async def test_a_piece_that_is_confirmed_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Followers at their bound take it late: it is in the log, and may not be sent twice."""
    archive = await asyncio.to_thread(archive_with, 12)
    apply = Writes.apply
    late: list[int] = []

    def sometimes(writes: Writes, command: bytes) -> asyncio.Future[Any]:
        future = apply(writes, command)
        if len(command) > len(VALUE) and len(late) < 2:
            late.append(len(command))
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(ApplyTimeout())
            return failed
        return future

    async with cluster(tmp_path, 1) as servers:
        number = await at_the_level(servers)
        monkeypatch.setattr(Writes, "apply", sometimes)
        answer = await put(servers, number, archive, "?force")
        assert (answer.status, answer.body) == (200, b"")
        assert len(late) == 2
        store = servers.running[number].machine.store
        assert len(store.rows(variables.TABLE)) == 12
