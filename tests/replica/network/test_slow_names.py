"""Names that resolve slowly: what waits for the disk, and peers with addresses, do not wait."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from net_servers import End
from replica_cluster import Replicas, until

SLOW = ".slow.example"
NAMES = 64
"""More than the loop has threads for the resolver (at most 32)."""


def test_a_cluster_founds_writes_and_stops_while_the_resolver_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, hanging = threading.Event(), threading.Semaphore(0)
    resolve = socket.getaddrinfo

    def slowly(host: Any, *rest: Any, **more: Any) -> Any:
        if not str(host).endswith(SLOW):
            return resolve(host, *rest, **more)
        hanging.release()
        answers.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slowly)

    async def scenario() -> None:
        end = End("x")
        dials = [asyncio.ensure_future(end.dial(f"{number}{SLOW}:7101")) for number in range(NAMES)]
        await until(lambda: hanging.acquire(blocking=False))
        # Every thread that the loop has for the resolver is taken, or will be, and stays so.
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        await leader.snapshot_now()
        await until(lambda: all(m.values == {"k": "1"} for m in cluster.machines.values()))
        await cluster.stop()
        assert not answers.is_set(), "no lookup has ended"
        answers.set()
        await asyncio.gather(*dials, return_exceptions=True)

    try:
        asyncio.run(scenario())
    finally:
        answers.set()
