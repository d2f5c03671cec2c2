"""Which stored snapshot is restored."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from replica_cluster import Pairs

from quorate.errors import QuorateError
from quorate.raft import Configuration, Server
from quorate.replica.snapshot_tasks import SnapshotTasks
from quorate.replica.snapshots import SnapshotWorker
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
