"""Operators of a simulated cluster: they save and restore its state, rotate and remove root keys.

In some lives the leader is killed right after an entry of a restore was applied.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any, Final

from quorate.archive.meta import ArchiveMeta
from quorate.errors import QuorateError
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot, encode_snapshot
from quorate.state.engine.table import unstaged
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys
from quorate.testing.sim.world import World
from quorate.testing.stored.process import StoredProcess
from quorate.testing.stored.rules import Rules

_RATES: Final = {"save": 1.5, "restore": 0.5, "rotate": 0.4, "remove": 0.4}
"""Each a second of the world, in lives that have them."""

_ARCHIVES_MAX: Final = 4


class Operators:
    """See the module. What they do ends at `until`."""

    def __init__(
        self,
        world: World,
        processes: Mapping[str, StoredProcess],
        rules: Rules,
        until: float,
    ) -> None:
        self.world = world
        self.processes = processes
        self.rules = rules
        self.until = until
        self.rng = Random(f"{world.seed} operators")
        self._archives: list[bytes] = []
        self._kills = self.rng.choice([0.0, 0.3, 0.6])
        rules.at_step = self._stepped

    def begin(self) -> None:
        """Draw what is done in this life, and when."""
        rng = self.rng
        restores, rotates = rng.random() < 0.7, rng.random() < 0.5
        kinds = ["save", "restore"] if restores else []
        kinds += ["rotate", "remove"] if rotates else []
        for kind in kinds:
            at = rng.expovariate(_RATES[kind])
            while at < self.until:
                self.world.later(at, partial(self._do, kind))
                at += rng.expovariate(_RATES[kind])

    def _do(self, kind: str) -> None:
        running = [self.processes[host.name] for host in self.world.running()]
        leader = self.world.leader()
        if kind != "save" and leader is not None and self.rng.random() < 0.9:
            running = [self.processes[leader.name]]
        if running:
            getattr(self, f"_{kind}")(self.rng.choice(running))

    def _ask(self, process: StoredProcess, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """An operator's request to that server; its answer is of no concern here."""

        async def carried_out() -> None:
            try:
                await work()
            except QuorateError as error:
                self.world.note(f"{process.host.name} answers an operator: {error}")

        self.world.ask(
            process.host, lambda _: process.loop.do(lambda: process.loop.spawn(carried_out()))
        )

    # -- archives ---------------------------------------------------------------------------

    def _save(self, process: StoredProcess) -> None:
        """What a save writes (`server.archive.saving`): nothing of a restore under way."""
        if process.host.spoiled:
            return
        image = process.state.image()
        for name in [name for name in image.tables.held if unstaged(name) != name]:
            del image.tables.held[name]
        parts: list[bytes] = []
        encode_snapshot(image, parts.append, TODAY)
        self._archives = [*self._archives[1 - _ARCHIVES_MAX :], b"".join(parts)]

    def _restore(self, process: StoredProcess) -> None:
        if self._archives:
            archive = self.rng.choice(self._archives)
            self._ask(process, partial(self._restored, process, archive))

    async def _restored(self, process: StoredProcess, archive: bytes) -> None:
        replacing = process.replacing
        replacing.begin()
        try:
            image, known = _read(archive), _read(archive)
            self.rules.archives[process.restore_id] = known
            self.world.note(f"{process.host.name} begins to restore an archive at {image.index}")
            await replacing.carry_out(ArchiveMeta(index=image.applied_index), image, force=True)
        finally:
            replacing.end()

    def _stepped(self) -> None:
        """An entry of a restore was applied for the first time."""
        leader = self.world.leader()
        if leader is None or self.world.now > self.until or self.rng.random() >= self._kills:
            return
        self.rules.met["a leader was killed within a restore"] += 1
        name = leader.name
        self.world.later(0.0, partial(self._kill, name, leader.incarnation))
        self.world.later(self.rng.choice([0.05, 1.0]), partial(self.world.revive, name))

    def _kill(self, name: str, incarnation: int) -> None:
        host = self.world.hosts[name]
        if host.node and host.incarnation == incarnation:
            self.world.note(f"{name} is killed within a restore")
            self.world.crash(name)

    # -- root keys --------------------------------------------------------------------------

    def _rotate(self, process: StoredProcess) -> None:
        self._ask(process, lambda: process.root_keys.rotate(full=False))

    def _remove(self, process: StoredProcess) -> None:
        keys = process.state.rows(root_keys.TABLE).items()
        older = [key_id for key_id, row in keys if row.state != root_keys.ACTIVE]
        if older:
            key_id = self.rng.choice(older)
            self._ask(process, lambda: process.root_keys.remove(key_id, force=True))


def _read(archive: bytes) -> SnapshotImage:
    rest = memoryview(archive)

    def read(size: int) -> bytes:
        nonlocal rest
        piece, rest = bytes(rest[:size]), rest[size:]
        return piece

    return decode_snapshot(read, TODAY)
