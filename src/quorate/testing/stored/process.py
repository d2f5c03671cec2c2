"""The duties of a simulated server for its state: the code of production, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from quorate.errors import (
    CannotSealYet,
    LevelTooLow,
    MachineHeld,
    NotLeader,
    Overloaded,
    QuorateError,
    RestoreRefused,
    RestoreUnderWay,
)
from quorate.levels import LEVEL
from quorate.runtime.listeners import Listeners
from quorate.server.archive.replacing import Replacing
from quorate.server.leader.acts import Acts
from quorate.server.leader.level import LevelGate
from quorate.server.leader.locks import LockKeeper
from quorate.server.secrets.keeper import RootKeeper
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import Sealer
from quorate.server.writes import Writes
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.testing.pools.clock import AllTimers
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.surroundings import SimClock
from quorate.testing.sim.world import World
from quorate.testing.stored.loop import ProcessLoop

NOT_BEGUN = (CannotSealYet, LevelTooLow, NotLeader, Overloaded, RestoreUnderWay)
"""The errors of a write that is not done, and never will be."""

_EPOCH_NS = 1_600_000_000_000_000_000
_FOUND_S = 0.2
RESEALED_AT_ONCE = 2
_ASIDE_S = 0.02

Settle = Callable[[Any, int, QuorateError | None], None]
"""Result and index of a write, or why it was not confirmed."""


class SimReplica:
    """The replica of a host, as `Writes` needs it."""

    disk_room = "no room"

    def __init__(self, world: World, host: Host, loop: ProcessLoop) -> None:
        self._world = world
        self._host = host
        self._loop = loop

    @property
    def is_leader(self) -> bool:
        """Whether it believes to lead."""
        return self._loop.alive and self._host.driver.is_leader

    @property
    def held(self) -> MachineHeld | None:
        """Why it cannot apply the next entry."""
        return self._host.driver.held

    @property
    def storage_full(self) -> bool:
        """Whether its disk has no room."""
        return self._host.driver.storage_full

    def propose(self, command: bytes, /) -> asyncio.Future[Any]:
        """Replicate a command; the future gives (log index, result of applying it)."""
        future = self._loop.create_future()
        if not self._loop.alive:
            return future  # nobody is there to see it answered
        handle = self._world.handle(self._host, "write", command)

        def answered(answer: str, found: Any) -> None:
            if future.done():
                return
            if answer != "done":
                error = handle.error
                future.set_exception(error if error is not None else QuorateError(answer, ""))
            elif isinstance(found[0], QuorateError):
                future.set_exception(found[0])
            else:
                future.set_result((found[1], found[0]))

        handle.on_answer = answered
        try:
            self._host.driver.propose(handle, command)
        except QuorateError as error:
            handle.set_exception(error)
        return future


class SimMachineOf:
    """The state machine of a host, as a restore needs it."""

    def __init__(self, host: Host) -> None:
        self._machine = host.machine

    @property
    def store(self) -> StateStore:
        """The state."""
        return self._machine.store

    def readable(self) -> StateStore:
        """The same."""
        return self._machine.store


class StoredProcess:
    """See the module. It begins with the process of `host`, and ends with it."""

    def __init__(self, world: World, host: Host, listeners: Listeners) -> None:
        self.world = world
        self.host = host
        clock = SimClock(world, world.storage, host)
        host.timers = AllTimers(host.timers, clock)
        self.loop = ProcessLoop(world, host, clock)
        self.state = state = host.machine.store
        self._rng = rng = Random(f"{world.seed} secrets of {host.name} {host.incarnation}")
        self.restore_id = ""  # of the last restore that was begun here
        replica = SimReplica(world, host, self.loop)
        acts = Acts(state, lambda: self.unix_ns() // 1_000_000)
        gate = LevelGate(state)
        self.sealer = Sealer(state, KeyRing(state), self.leads, rng.randbytes)
        listeners.role.append(lambda _: self.sealer.renew())

        with self.loop.entered():
            self.writes = Writes(
                *(replica, gate.refusal, acts.settings_told), shift=lambda: state.shift
            )
        apply = self.writes.apply
        self.root_keys = RootKeeper(
            state=state,
            apply=apply,
            acts=acts,
            leads=self.leads,
            unix_ns=self.unix_ns,
            resealer=Resealer(state, self.sealer, apply, RESEALED_AT_ONCE),
            holders=self._holders,
            draw=rng.randbytes,
        )
        self.replacing = Replacing(
            *(SimMachineOf(host), self.writes, self._keep_safe, acts.unix_ms),
            aside=self._aside,
            make_id=self._make_id,
        )
        locks = LockKeeper(state, self.leads, apply, clock.now, self.unix_ns)
        self.loop.spawn(self.writes.sweep())
        self.loop.spawn(self._raise_level())
        self.loop.spawn(locks.run())
        self.loop.spawn(self.root_keys.run())
        self.loop.spawn(self.replacing.drop_left_over(host.driver.lease_valid))

    def leads(self) -> bool:
        """Whether it leads, and has applied all there was (as `Leadership.has_begun`)."""
        if not self.loop.alive:
            return False
        leader = self.host.live.leader
        return leader is not None and leader.ready()

    def unix_ns(self) -> int:
        """The time of day, as the host's clock has it."""
        return _EPOCH_NS + int(self.host.clock(self.world.now) * 1e9)

    def write(self, make: Callable[[], Command], settle: Settle) -> None:
        """A client asks for a write; `make` gives the command once the leader is at it."""

        def begin() -> None:
            try:
                future = self.writes.apply(encode(make()))
            except QuorateError as error:
                settle(None, 0, error)
                return
            future.add_done_callback(ended)

        def ended(future: asyncio.Future[tuple[int, Any]]) -> None:
            error = future.exception()
            if error is None:
                index, result = future.result()
                settle(result, index, None)
            elif isinstance(error, QuorateError):
                settle(None, 0, error)
            else:
                raise error

        self.world.ask(self.host, lambda _: self.loop.do(begin))

    async def _raise_level(self) -> None:
        """All servers of a simulated cluster know the newest level, and prove it at once."""
        while self.state.level < LEVEL:
            await asyncio.sleep(_FOUND_S)
            if self.leads() and self.state.level < LEVEL:
                try:
                    await self.writes.apply(encode(RaiseLevel(level=LEVEL, version="0")))
                except QuorateError:
                    continue  # the next round, or the next leader, does it

    async def _aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """A thread takes its time."""
        await asyncio.sleep(self.host.rng.random() * _ASIDE_S)
        return work(*arguments)

    def _make_id(self) -> str:
        self.restore_id = self._rng.randbytes(8).hex()
        return self.restore_id

    async def _keep_safe(self) -> str:
        await asyncio.sleep(_ASIDE_S)
        return "safe.snap"

    async def _holders(self, below: int) -> list[str]:
        """The members whose disks may hold text of that index or before."""
        below -= self.state.shift
        found = []
        for member in self.host.live.configuration.servers:
            disk = self.world.hosts[member.id].disk
            if disk.base[0] < below:
                found.append(member.address)
        return found


REFUSED = (*NOT_BEGUN, RestoreRefused)
