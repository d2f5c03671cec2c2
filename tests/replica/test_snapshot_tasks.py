"""Which stored snapshot is restored."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from patience import PATIENCE_S
from replica_cluster import Pairs

from quorate.errors import QuorateError
from quorate.net.threads import WORK_S, Turns
from quorate.raft import Configuration, Server
from quorate.replica import snapshots
from quorate.replica.snapshot_tasks import SnapshotTasks
from quorate.replica.snapshots import SnapshotWorker
from quorate.runtime.ports import Read, Write
from quorate.storage.snapshots.store import SnapshotStore

MEMBERS = Configuration((Server("a", "a:1"),))


def test_a_snapshot_is_told_by_index_and_term_and_a_missing_one_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        tasks: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.append(asyncio.create_task(work))

        worker = SnapshotWorker(SnapshotStore(tmp_path), lambda: 1)
        for term in (2, 3):
            machine = Pairs()
            machine.values = {"term": str(term)}
            await worker.take((9, term, MEMBERS, 1), machine.snapshot())
        port = SnapshotTasks(worker, Pairs(), b"", lambda peer: peer.address, spawn)
        images: list[Any] = []
        for term in (2, 3, 4):
            port.restore(9, term, images.append)
        *found, missing = await asyncio.gather(*tasks, return_exceptions=True)
        assert found == [None, None]
        assert images == [{"term": "2"}, {"term": "3"}]
        assert isinstance(missing, QuorateError)
        assert "index 9 and term 4" in missing.text
        worker.close()

    asyncio.run(scenario())


class Long(Pairs):
    """It takes long to write and to read."""

    def snapshot(self) -> Callable[[Write], object]:
        def write_out(write: Write) -> None:
            for _ in range(4):
                time.sleep(WORK_S)
                write(b"x")

        return write_out

    def decode_snapshot(self, read: Read) -> Any:
        found = 0
        while read(1):
            time.sleep(WORK_S)
            found += 1
        return found


def test_the_loop_makes_turns_while_a_snapshot_is_taken_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Loop:
        """Counts what is asked of the loop, and makes that turn at once."""

        def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
            asked.append(callback())

    monkeypatch.setattr(snapshots, "Turns", lambda _: Turns(Loop()))

    async def scenario() -> None:
        worker = SnapshotWorker(SnapshotStore(tmp_path), lambda: 1)
        meta = await worker.take((9, 2, MEMBERS, 1), Long().snapshot())
        assert len(asked) == 4
        assert await worker.run(worker.decode, Long(), meta.id) == 4
        assert len(asked) == 8
        worker.close()

    asyncio.run(scenario())


def test_a_sender_that_is_stopped_leaves_no_open_file(tmp_path: Path) -> None:
    """It is stopped while the thread opens the snapshot."""
    opened: list[BinaryIO] = []
    begun, gate = threading.Event(), threading.Event()

    class Slow(SnapshotStore):
        def open(self, snapshot: str) -> BinaryIO:
            begun.set()
            assert gate.wait(PATIENCE_S)
            opened.append(super().open(snapshot))
            return opened[0]

    async def scenario() -> None:
        worker = SnapshotWorker(Slow(tmp_path), lambda: 1)
        await worker.take((9, 2, MEMBERS, 1), Pairs().snapshot())
        sending = asyncio.create_task(snapshots.send_snapshot(worker, "a:1", b"", {}))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        gate.set()
        await worker.run(lambda: None)  # the one after it
        assert opened[0].closed
        worker.close()

    asyncio.run(scenario())
