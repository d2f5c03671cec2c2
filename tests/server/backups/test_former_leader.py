"""A server that believes to lead, and has lost its lease, deletes nothing at the target."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from quorate.backup.target import Settings
from quorate.errors import BackupFailed
from quorate.server.backups.keeper import Backups
from quorate.server.options import BackupOptions
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.backups import VERIFIED, Backup, BeginBackup, EndBackup, PlaceBackup

NAMES = ("quorate-c-1.snap", "quorate-c-2.snap")


class Never:
    """What is not asked here."""

    problem = ""

    async def run(self) -> None:
        raise AssertionError

    async def take(self, slot: int, *, manual: bool) -> Any:
        raise AssertionError((slot, manual))

    async def restore(
        self, archive: Any, *, force: bool = False, dry_run: bool = False, keep_acl: bool = False
    ) -> Any:
        raise AssertionError((archive, force, dry_run, keep_acl))


def backup(name: str, slot: int) -> Backup:
    return Backup(
        name=name,
        slot=slot,
        by="s0",
        index=slot,
        term=1,
        state_index=slot,
        time_ms=slot,
        size=1,
        sha256="",
        state_bytes=1,
        digest="",
        holders=2,
    )


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def with_two_backups() -> StateStore:
    store = StateStore(TODAY)
    store.apply(1, encode(RaiseLevel(level=TODAY.level)))
    since, index = 0, 1
    for slot, name in enumerate(NAMES, 1):
        begin = BeginBackup(slot=slot, by="s0", since=since, time_ms=0)
        since = store.apply(index + 1, encode(begin))
        store.apply(index + 2, encode(PlaceBackup(backup=backup(name, slot), since=since)))
        end = EndBackup(since=since, time_ms=0, name=name, status=VERIFIED)
        since = index = index + 3
        assert store.apply(index, encode(end))
    return store


def test_files_are_deleted_under_the_lease_alone(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).touch()
    store, sure = with_two_backups(), [False]
    written: list[bytes] = []

    async def apply(command: bytes) -> tuple[int, Any]:
        written.append(command)
        return 99, store.apply(99, command)

    made = Backups(
        options=BackupOptions(target=Settings(url=f"file://{tmp_path}"), retain=1),
        state=store,
        taking=Never(),
        restores=Never(),
        apply=apply,
        server_id="s0",
        leads=lambda: True,
        sure=lambda: sure[0],
        now=lambda: 0.0,
        begin=Never(),
    )

    async def scenario() -> None:
        with pytest.raises(BackupFailed, match="this server leads no more"):
            await made.prune()
        assert files(tmp_path) == list(NAMES)
        assert not written
        sure[0] = True
        assert await made.prune() == [NAMES[0]]
        assert files(tmp_path) == [NAMES[1]]

    asyncio.run(scenario())
