"""A snapshot is labelled with the index of the state that it holds, however busy the replica is.

`tests/runtime/test_snapshot_points.py` asks for one at every moment there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replica_cluster import Replicas

from quorate.runtime.ports import Read, Write


class Counter:
    """Adds up its commands. A command that is applied twice, or left out, shows in the sum."""

    def __init__(self) -> None:
        self.value = 0

    def apply(self, index: int, command: bytes) -> int:
        del index
        self.value += int(command)
        return self.value

    def snapshot(self) -> Callable[[Write], object]:
        data = b"%d" % self.value
        return lambda write: write(data)

    def decode_snapshot(self, read: Read) -> Any:
        return int(read(32))

    def restore(self, image: Any) -> None:
        self.value = image


COUNT = 1500


@pytest.mark.parametrize("asked_after", [1, 512, 1023])
def test_a_snapshot_in_the_middle_of_a_long_batch(tmp_path: Path, asked_after: int) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1, machine=Counter)
        await cluster.start()
        leader = await cluster.leader()
        waiting = [leader.propose(b"1") for _ in range(COUNT)]
        await waiting[asked_after - 1]
        index = await leader.snapshot_now()
        assert index > 0
        await asyncio.gather(*waiting)
        await restarted(cluster, COUNT)

    asyncio.run(scenario())


async def restarted(cluster: Replicas, value: int) -> None:
    """From snapshot and log the same state comes back."""
    for _ in range(2):
        await cluster.stop()
        await cluster.start()
        leader = await cluster.leader()
        await leader.read_barrier()
        assert cluster.machines["a"].value == value
        await leader.snapshot_now()
    await cluster.stop()
