"""Work on variables by Quorate's API: filling, and the hand-over of a lock between two clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import threading
import time
from collections.abc import Sequence

from bench.load import LoadFailed
from bench.rival import LOCK
from quorate.client import AsyncClient, AsyncLock, ClientError

HANDOVERS = 20
AT_ONCE = 64
"""Variables of one write of several: as many as the API takes."""

_WRITERS = 4
_SETTLING_S = 0.3  # until a client certainly waits for the lock; as for etcd
_TIMEOUT_S = 30.0


def fill(port: int, keys: str, count: int, size: int) -> None:
    """Write `count` variables, several at once. Raises LoadFailed."""
    failures: list[str] = []
    starts = iter(range(0, count, AT_ONCE))
    guard = threading.Lock()

    def write() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        while not failures:
            with guard:
                start = next(starts, None)
            if start is None:
                break
            numbers = range(start, min(start + AT_ONCE, count))
            try:
                connection.request("PUT", "/v1/vars/write", _several(keys, numbers, size))
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                failures.append(str(error))
                break
            if answer.status != 200:
                failures.append(f"{answer.status} {text.decode(errors='replace')}")
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise LoadFailed(f"filling: {failures[0]}")


def _several(keys: str, numbers: Sequence[int], size: int) -> bytes:
    items = {"v": "v" * size}
    operations = [{"Op": "set", "Path": keys % number, "Items": items} for number in numbers]
    return json.dumps({"Operations": operations}).encode()


def handover_ms(port: int) -> float:
    """From the release of a lock until the client that waits has it: the median. LoadFailed."""
    try:
        return asyncio.run(_handed_over(f"http://127.0.0.1:{port}"))
    except (ClientError, TimeoutError) as error:
        raise LoadFailed(f"lock: {error}") from error


async def _handed_over(address: str) -> float:
    times = []
    async with AsyncClient(address) as one, AsyncClient(address) as other:
        locks = [AsyncLock(c.variables, LOCK, wait_s=_TIMEOUT_S) for c in (one, other)]
        await locks[0].__aenter__()
        for number in range(HANDOVERS):
            holder, waiter = locks[number % 2], locks[(number + 1) % 2]
            acquired = asyncio.create_task(_acquired(waiter))
            await asyncio.sleep(_SETTLING_S)
            released = time.perf_counter()
            await holder.__aexit__(None, None, None)
            times.append(await acquired - released)
        await locks[HANDOVERS % 2].__aexit__(None, None, None)
    return statistics.median(times) * 1000


async def _acquired(lock: AsyncLock) -> float:
    await lock.__aenter__()
    return time.perf_counter()
