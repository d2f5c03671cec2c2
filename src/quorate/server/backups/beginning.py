"""A new cluster begins with a backup: `restore_from` of the configuration (docs/backups.md).

It counts once, for a cluster in which no variable and no namespace was ever written. Until it is
settled the leader takes no such write, so nobody meets a cluster that is empty for a moment. What
was settled is in the state: the next start with the same configuration changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from quorate.backup.places import open_target, split_file
from quorate.backup.target import Settings, Target, TargetError
from quorate.errors import BackupAwaited, QuorateError
from quorate.net.threads import in_thread
from quorate.server.archive.restoring import Restores
from quorate.server.writes import Writes
from quorate.state.engine.commands import encode, type_of
from quorate.state.engine.store import StateStore
from quorate.state.tables import backups, locks, namespaces, variables
from quorate.state.tables.backups import BACKUPS_LEVEL, NoteOrigin

log: Final = logging.getLogger("quorate.server")

_ROUND_S: Final = 0.1
_PAUSE_MIN_S: Final = 1.0
_PAUSE_MAX_S: Final = 60.0
_HELD: Final = (variables.TABLE, locks.TABLE, namespaces.TABLE)


class Beginning:
    """See the module."""

    def __init__(
        self,
        *,
        source: Settings | None,
        state: StateStore,
        writes: Writes,
        restores: Restores,
        leads: Callable[[], bool],
    ) -> None:
        self._source = source
        self._state = state
        self._writes = writes
        self._restores = restores
        self._leads = leads
        self._held = {command.TYPE for table in _HELD for command in table.commands}
        self._trouble: QuorateError | None = None
        if source is not None:
            writes.pause(self._stops, self._refusal)

    @property
    def problem(self) -> str:
        """Why it is not settled yet, or empty. A server that does not lead knows only that."""
        if self._source is None or self._settled() or self._state.level < BACKUPS_LEVEL:
            return ""
        if self._trouble is not None:
            return self._refusal().line()
        if self._leads():
            return ""
        return (
            "variables and namespaces cannot be written yet: this cluster begins with the backup "
            f"at {self._source.url} (backup.restore_from), which is not restored yet; if that "
            "lasts, the health and the log of the leader say why"
        )

    async def run(self) -> None:
        """Until it is settled, by this server or another one."""
        if self._source is None:
            return
        pause_s = _PAUSE_MIN_S
        while True:
            await asyncio.sleep(_ROUND_S)
            if self._settled():
                break
            if not self._leads() or self._state.level < BACKUPS_LEVEL:
                self._trouble = None
                continue
            try:
                await self._settle(self._source)
            except QuorateError as error:
                self._writes.pause(self._stops, self._refusal)  # a restore that ends ends it
                self._trouble = error
                log.warning("%s", self._refusal().line())
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        self._trouble = None
        self._writes.pause(None)

    def _settled(self) -> bool:
        return backups.progress(self._state).checked

    def _refusal(self) -> BackupAwaited:
        """The answer to a write meanwhile."""
        assert self._source is not None
        trouble = self._trouble
        if trouble is None:
            return BackupAwaited(self._source.url)
        return BackupAwaited(self._source.url, trouble.text, trouble.next_step)

    def _stops(self, command: bytes) -> bool:
        return type_of(command, self._state.registry) in self._held

    def _is_new(self) -> bool:
        tables = (variables.TABLE, locks.TABLE, namespaces.TABLE)
        return all(self._state.table_index(t.name) == t.initial_index for t in tables)

    async def _settle(self, source: Settings) -> None:
        begun = backups.progress(self._state).restored_from
        if not self._is_new():
            if not begun:
                log.warning(
                    "backup.restore_from has no effect: this cluster has variables or namespaces "
                    "of its own; remove it from the configuration"
                )
            await self._note(NoteOrigin(settled=True))
            return
        settings, name = split_file(source)
        target = open_target(settings)
        name = name or await in_thread(_newest, target)
        await self._note(NoteOrigin(name=name))
        log.info("this cluster begins with the backup %s", name)
        report = await self._restores.restore(_pieces(target, name), force=True)
        log.info("the state of %s is restored, at index %d", name, report.index)
        await self._note(NoteOrigin(settled=True))

    async def _note(self, command: NoteOrigin) -> None:
        await self._apply(encode(command))

    def _apply(self, command: bytes) -> Awaitable[tuple[int, Any]]:
        return self._writes.apply(command)


def _newest(target: Target) -> str:
    """The name of the newest backup there, of the only cluster that has some. In a thread."""
    names = target.names()
    clusters = {name.rpartition("-")[0].rpartition("-")[0] for name in names}
    if not names:
        raise TargetError("there is no backup at backup.restore_from", "see what is there")
    if len(clusters) > 1:
        shown = ", ".join(sorted(clusters)[:4])
        raise TargetError(
            f"at backup.restore_from are backups of several clusters: {shown}",
            "name one file: its name at the end of the URL",
        )
    return max(names, key=_time_and_index)


def _time_and_index(name: str) -> tuple[str, int]:
    before, _, index = name.removesuffix(".snap").rpartition("-")
    return before, int(index) if index.isascii() and index.isdigit() else 0


async def _pieces(target: Target, name: str) -> AsyncIterator[bytes]:
    pieces = target.get(name)
    while (piece := await in_thread(next, pieces, None)) is not None:
        yield piece
