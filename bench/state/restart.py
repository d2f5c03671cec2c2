"""How long a whole server of a large state takes from its start until it answers from it.

Nine tenths of the rows are in a snapshot, the others in the log behind it. A process of its own
fills the folder, another starts on it: nothing is in its memory before.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from bench.state.table import ITEMS, REGISTRY, commands
from quorate.errors import QuorateError
from quorate.server.options import ServerOptions
from quorate.server.server import Server

_READY_S: Final = 120.0


class Restart(NamedTuple):
    """Seconds to write the rows and to start on them, and what the second process found.

    `processor_s` is the processor's time of the restart, `entries` are those of the log behind the
    snapshot.
    """

    filled_s: float
    restarted_s: float
    processor_s: float
    rows: int
    entries: int
    state_mb: float
    resident_mib: float


def restart(records: int) -> Restart:
    """Fill a folder, start on it."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="bench-state-") as folder,
        spawn.Pool(1, maxtasksperchild=1) as pool,
    ):
        port = _free_port()
        filled_s = pool.apply(_filled, (folder, port, records))
        return Restart(filled_s, *pool.apply(_restarted, (folder, port)))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _server(folder: str, port: int) -> Server:
    address = f"127.0.0.1:{port}"
    server = Server(
        ServerOptions(
            name="s1",
            region="global",
            datacenter="dc1",
            data_dir=Path(folder),
            rpc_bind=("127.0.0.1", port),
            rpc_address=address,
            serf_port=4648,
            version="0",
            founders=(address,),
            snapshot_threshold=1 << 30,  # taken when the bench says so
            state_check_interval_s=0.0,
            registry=REGISTRY,
        ),
        on_fatal=lambda error: sys.exit(f"the server ended: {error}"),
    )
    await server.open()
    await server.start(lambda _: asyncio.Protocol())
    end = time.monotonic() + _READY_S
    while True:
        try:
            await server.replica.read_barrier()
        except QuorateError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.005)
        else:
            return server


def _filled(folder: str, port: int, records: int) -> float:
    async def run() -> float:
        server = await _server(folder, port)
        began = time.perf_counter()
        await _write(server, 0, records * 9 // 10)
        await server.replica.snapshot_now()
        await _write(server, records * 9 // 10, records)
        took = time.perf_counter() - began
        await server.stop()
        return took

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def _write(server: Server, first: int, last: int) -> None:
    waiting: set[asyncio.Future[object]] = set()
    for command in commands(first, last, seed=first):
        waiting.add(asyncio.ensure_future(server.writes.apply(command)))
        if len(waiting) >= 64:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*waiting)


def _restarted(folder: str, port: int) -> tuple[float, float, int, int, float, float]:
    async def run() -> tuple[float, float, int, int, float, float]:
        began, worked = time.perf_counter(), time.process_time()
        server = await _server(folder, port)
        took, worked = time.perf_counter() - began, time.process_time() - worked
        rows = len(server.machine.readable().rows(ITEMS))
        size = server.machine.store.size / 1e6
        newest = server.replica.snapshots.newest()
        assert newest is not None, "the first process took one"
        entries = server.machine.store.applied_index - newest.index
        resident = _resident_mib()
        await server.stop()
        return took, worked, rows, entries, size, resident

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
