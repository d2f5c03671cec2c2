"""The log of a replica stays below its bound, whatever is written, and with members away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lengths import cases
from replica_cluster import Replicas, until

from quorate.errors import Overloaded
from quorate.raft import Settings
from quorate.replica import Options
from quorate.replica.options import LOG_BYTES_MIN

BOUND = LOG_BYTES_MIN
VALUE_BYTES = 32 << 10
IN_MEMORY = Path("/dev/shm")
KEYS = 4
TIMES = 20


def disk_bytes(folder: Path) -> tuple[int, int]:
    """What the files of the log, and all files together, take on the disk."""
    log = everything = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # removed meanwhile
                size = Path(parent, name).stat().st_blocks * 512
                everything += size
                log += size if name.endswith(".segment") else 0
    return log, everything


class Writer:
    """Writes values in batches, and looks at the disks after each."""

    def __init__(self, cluster: Replicas) -> None:
        self._cluster = cluster
        self.written = 0
        self.largest_log = self.largest_folder = 0

    async def write(self, total: int) -> None:
        number = 0
        while self.written < total:
            leader = await self._cluster.leader()
            commands = [
                b"%d=%b" % (n % KEYS, b"%09d" % n * (VALUE_BYTES // 9))
                for n in range(number, number + 8)
            ]
            answers = await asyncio.gather(*map(leader.propose, commands), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, Overloaded):
                    await asyncio.sleep(0)  # as the answer says: in a moment
                else:
                    assert not isinstance(answer, BaseException), answer
                    self.written += VALUE_BYTES
            number += len(commands)
            for name in self._cluster.servers:
                log, everything = disk_bytes(self._cluster.folder / name)
                self.largest_log = max(self.largest_log, log)
                self.largest_folder = max(self.largest_folder, everything)


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder: what is looked at here is not whether the disk syncs."""
    with TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("count", cases([1], [3]))
def test_pain_21_twenty_times_the_bound_stay_below_it(count: int) -> None:
    """Of three servers one is away: it holds nothing back, and is filled when it returns."""

    async def scenario(folder: Path) -> None:
        cluster = Replicas(folder, count, settings=Settings(log_bytes_max=BOUND))
        await cluster.start()
        leader = await cluster.leader()
        away = [name for name in cluster.servers if name != leader.server_id][:1]
        if away:
            await cluster.stop(*away)
        writer = Writer(cluster)
        await writer.write(TIMES * BOUND)
        assert writer.largest_log <= BOUND
        # Two snapshots are kept and one is being written; beside them are small files.
        state = KEYS * (VALUE_BYTES + 64)
        assert writer.largest_folder <= BOUND + 3 * state + (64 << 10)
        if away:
            await cluster.start(*away)
        values = cluster.machines[(await cluster.leader()).server_id].values
        for name, machine in cluster.machines.items():
            await until(lambda: machine.values == values)  # noqa: B023
            assert disk_bytes(cluster.folder / name)[0] <= BOUND
        await cluster.stop()

    with in_memory() as folder:
        asyncio.run(scenario(folder))


def test_a_bound_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="log_bytes_max"):
        Options(settings=Settings(log_bytes_max=BOUND - 1))
    Options(settings=Settings(log_bytes_max=0))
