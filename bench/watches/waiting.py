"""Blocking queries by key that wait, while other keys are written."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench import run_quorate
from bench.load import LoadFailed
from bench.run_quorate import QuorateCluster
from bench.watches.wire import Connection, checked, connected, get, put

_ROOT = Path(__file__).resolve().parents[2]
WATCHED = "watched/%06d"
_AT_ONCE = 200
_BETWEEN_S = 0.02
_WAIT_S = 600
_STEADY_S = 1.0
_PATIENCE_S = 30.0


class Found(NamedTuple):
    """What was measured. Times are milliseconds, from the send of the write of a watched key."""

    watches: int
    bytes_each: float
    writes_per_second: float
    woken_median_ms: float
    woken_p99_ms: float
    woken_max_ms: float
    written_median_ms: float


def measured(watches: int, wakes: int, rate: float) -> Found:
    """`wakes` of `watches` are woken, one by one, beside `rate` writes a second. LoadFailed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cluster = run_quorate.start(Path(folder))
        assert isinstance(cluster, QuorateCluster)
        try:
            leader = cluster.await_leader()
            cluster.fill(leader, WATCHED, watches, 16)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_measured(cluster, leader, watches, wakes, rate))
        finally:
            cluster.stop()


async def _measured(
    cluster: QuorateCluster, leader: int, watches: int, wakes: int, rate: float
) -> Found:
    port, server = cluster.port(leader), cluster.servers[leader]
    writer = await connected(port)
    index = _index(await _answer(writer, get("/v1/vars?prefix=none")))
    before = server.resident_mb()
    waiting = await _waiting(port, watches, index)
    await asyncio.sleep(_STEADY_S)
    bytes_each = (server.resident_mb() - before) * 1e6 / watches
    if any(watch.answered for watch in waiting):
        raise LoadFailed("a watch was answered without a change")

    argv = (sys.executable, "-m", "bench.watches.writing", str(port), str(rate))
    others = await asyncio.create_subprocess_exec(*argv, cwd=_ROOT, stdin=PIPE, stdout=PIPE)
    try:
        await asyncio.sleep(_STEADY_S)
        woken, written = await _woken(writer, waiting, wakes)
    finally:
        told, _ = await others.communicate(b"")
    if others.returncode:
        raise LoadFailed(f"the writes beside it ended with {others.returncode}")
    for connection in (*waiting, writer):
        connection.close()
    woken.sort()
    return Found(
        watches=watches,
        bytes_each=bytes_each,
        writes_per_second=float(told),
        woken_median_ms=statistics.median(woken),
        woken_p99_ms=woken[int(0.99 * (len(woken) - 1))],
        woken_max_ms=woken[-1],
        written_median_ms=statistics.median(written),
    )


async def _waiting(port: int, watches: int, index: int) -> list[Connection]:
    """A connection for each key, which waits for its change."""
    found: list[Connection] = []
    for start in range(0, watches, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, watches))
        opened = await asyncio.gather(*(connected(port) for _ in numbers))
        for number, connection in zip(numbers, opened, strict=True):
            target = f"/v1/var/{WATCHED % number}?index={index}&wait={_WAIT_S}s"
            connection.ask(get(target)).add_done_callback(_retrieved)
        found += opened
    return found


async def _woken(
    writer: Connection, waiting: list[Connection], wakes: int
) -> tuple[list[float], list[float]]:
    """Milliseconds until the watch of a written key had its answer, and until the write had."""
    woken, written = [], []
    step = max(len(waiting) // wakes, 1)
    for number in range(0, min(step * wakes, len(waiting)), step):
        await asyncio.sleep(_BETWEEN_S)
        answer = waiting[number].answer
        sent = time.perf_counter()
        request = put(f"/v1/var/{WATCHED % number}", {"Items": {"v": "changed"}})
        async with asyncio.timeout(_PATIENCE_S):
            at, text = await writer.ask(request)
            checked(text)
            seen, text = await answer
            checked(text)
        woken.append((seen - sent) * 1000)
        written.append((at - sent) * 1000)
    return woken, written


async def _answer(connection: Connection, request: bytes) -> bytes:
    return checked((await connection.ask(request))[1])


def _index(answer: bytes) -> int:
    head = answer.lower().partition(b"x-nomad-index:")[2]
    return int(head.split(b"\r\n")[0])


def _retrieved(answer: asyncio.Future[tuple[float, bytes]]) -> None:
    if not answer.cancelled():
        answer.exception()  # the caller that waits gets it, if there is one
