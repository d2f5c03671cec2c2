"""What a full rotation may not leave on a disk is counted by the log, whatever was restored."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from quorate.server.secrets.disks import Disks
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.commands import BeginRestore, CommitRestore
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import DISKS, VALUES, AddRootKey, EndPhase


class Replica:
    """One server that is the only member; `oldest` is what its files reach back to."""

    def __init__(self) -> None:
        self.server_id = "a"
        self.oldest = 1
        self.whole = 0
        member = SimpleNamespace(id="a", address="10.0.0.1:4647")
        self.node = SimpleNamespace(configuration=SimpleNamespace(servers=(member,)))

    async def oldest_on_disk(self) -> int:
        return self.oldest

    async def snapshot_now(self, *, whole: bool) -> int:
        self.whole += whole
        return 0


def rotated(*, restored: bool) -> tuple[StateStore, int]:
    """A state in which a full rotation waits for the disks, and the log's index of that."""
    store = StateStore(TODAY)

    def commit(command: Command) -> Any:
        return store.apply(store.applied_index + 1, encode(command))

    commit(RaiseLevel(level=3))
    if restored:
        commit(BeginRestore(id="r", index=5_000_000, tables=("namespaces",)))
        assert commit(CommitRestore(id="r", pieces=0, tables=("namespaces",))) == 5_000_000
    for key_id, prev in (("k-1", ""), ("k-2", "k-1")):
        commit(
            AddRootKey(key_id=key_id, key=os.urandom(32), create_time=1, prev=prev, full=bool(prev))
        )
    index = store.rows(root_keys.TABLE)["k-2"].modify_index
    assert commit(EndPhase(key_id="k-2", phase=VALUES, modify_index=index))
    assert store.rows(root_keys.TABLE)["k-2"].phase == DISKS
    return store, store.applied_index


def test_older_text_is_dropped_until_none_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        for restored in (False, True):
            store, index = rotated(restored=restored)
            replica = Replica()
            disks = Disks(cast("Any", replica), store, cast("Any", None), tmp_path)
            unused = store.rows(root_keys.TABLE)["k-1"].unused_index
            for oldest in (1, index):
                replica.oldest, replica.whole = oldest, 0
                await disks.round()
                assert replica.whole == 1
                assert f"from index {oldest} on" in disks.older
                assert await disks.holders(unused) == ["10.0.0.1:4647"]
            replica.oldest, replica.whole = index + 1, 0
            await disks.round()
            assert (replica.whole, disks.older) == (0, "")
            assert await disks.holders(unused) == []

    asyncio.run(scenario())


def test_safety_snapshots_and_what_was_set_aside_count_as_well(tmp_path: Path) -> None:
    """They are named; a full rotation removes older safety snapshots, a person the rest."""

    async def scenario() -> None:
        store, index = rotated(restored=True)
        replica = Replica()
        replica.oldest = index + 1
        disks = Disks(cast("Any", replica), store, cast("Any", None), tmp_path)
        unused = store.rows(root_keys.TABLE)["k-1"].unused_index
        safety = tmp_path / "safety"
        safety.mkdir()
        older, newer = safety / f"2-{index - 1}-1.snap", safety / f"2-{index}-2.snap"
        begun, named = safety / "2-1-1.snap.unfinished", safety / "mine.snap"
        for path in (older, newer, begun):
            path.touch()
        assert await disks.holders(unused) == [f"10.0.0.1:4647 ({begun})"]
        await disks.round()
        assert str(begun) in disks.older
        assert [path.name for path in safety.iterdir()] == [newer.name]
        assert await disks.holders(unused) == []
        named.touch()
        await disks.round()
        assert str(named) in disks.older
        assert await disks.holders(unused) == [f"10.0.0.1:4647 ({named})"]
        named.unlink()
        kinds = (
            "rolled-back-20261128T231500Z",
            "recovered-1-1",
            "undone-1-1",
            "raft/log-damaged-1",
        )
        for path in (tmp_path / name for name in kinds):
            path.mkdir(parents=True)
            await disks.round()
            assert str(path) in disks.older
            assert await disks.holders(unused) == [f"10.0.0.1:4647 ({path})"]
            path.rmdir()
        await disks.round()
        assert (replica.whole, disks.older) == (0, "")

    asyncio.run(scenario())
