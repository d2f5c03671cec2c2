"""Clients of clusters that are recovered: they write, read and lock, and keep what was answered.

Each answer is kept with the epoch of the server that gave it: what one epoch has acknowledged is
compared with what the next one has.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from quorate.levels import LEVEL
from quorate.raft.values.identity import Epoch
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.table import Command
from quorate.state.tables import locks
from quorate.state.tables.locks import AcquireLock, ExpireLock, ReleaseLock
from quorate.state.tables.variables import Conflict, PutVariable, Variable, key_of
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.machine import REGISTERS, write_command
from quorate.testing.sim.world import World

NAMESPACE = "default"
LOCK = "app/lock"
_PATHS = 5
_PATIENCE_S = 1.0


class Answered(NamedTuple):
    """A write that was acknowledged, at the index that its client was told. `fence`: of a lock."""

    epoch: Epoch
    at: int
    fence: bool


class Writer:
    """One client. While it `rests` it asks for nothing."""

    def __init__(self, world: World, number: int, answered: list[Answered]) -> None:
        self.world = world
        self.answered = answered
        self.rng = Random(f"{world.seed} writer {number}")
        self.name = f"w{number}"
        self.rests = False
        self._turn = 0
        self._holds = ""

    def begin(self) -> None:
        """Do the next thing, after a pause."""
        self._turn += 1
        turn = self._turn
        self.world.later(self.rng.uniform(0.01, 0.06), lambda: self._go(turn))

    def _go(self, turn: int) -> None:
        if turn != self._turn:
            return
        host = None if self.rests else self._someone()
        if host is None:
            self.begin()
            return
        self.world.later(_PATIENCE_S, lambda: self._give_up(turn))
        if host.machine.store.level and self.rng.random() < 0.2:
            handle = self.world.handle(host, "read", self.rng.choice(REGISTERS).encode())
            handle.on_answer = lambda _answer, _found: self._heard(turn)
            self.world.ask_read(host, handle)
        else:
            command = self._command(host)
            data = command if isinstance(command, bytes) else encode(command)
            handle = self.world.handle(host, "write", data)
            handle.on_answer = lambda answer, found: self._wrote(turn, host, answer, found)
            self.world.ask_write(host, handle)

    def _someone(self) -> Host | None:
        running = self.world.running()
        leaders = [host for host in running if host.live.leader]
        chosen = leaders if leaders and self.rng.random() < 0.9 else running
        return self.rng.choice(chosen) if chosen else None

    def _command(self, host: Host) -> Command | bytes:
        if not host.machine.store.level:
            return RaiseLevel(level=LEVEL)
        draw, number = self.rng.random(), self._turn
        if draw < 0.4:
            return write_command(self.rng.choice(REGISTERS), number)
        if draw < 0.7:
            path = f"app/{self.rng.randrange(_PATHS)}"
            data = f"{self.name} {number}".encode().ljust(self.rng.choice([0, 700]))
            return PutVariable(namespace=NAMESPACE, path=path, time_ns=number, data=data)
        if self._holds:
            lock_id, self._holds = self._holds, ""
            return ReleaseLock(namespace=NAMESPACE, path=LOCK, time_ns=number, lock_id=lock_id)
        row = host.machine.store.get(locks.TABLE, key_of(NAMESPACE, LOCK))
        if row is not None and self.rng.random() < 0.5:  # its holder is gone, or its delay is over
            since = row.modify_index
            return ExpireLock(namespace=NAMESPACE, path=LOCK, since=since, time_ns=number)
        return AcquireLock(
            namespace=NAMESPACE,
            path=LOCK,
            time_ns=number,
            lock_id=f"{self.name} {number}",
            ttl_ns=10**10,
            delay_ns=10**9,
            data=b"{}",
        )

    def _wrote(self, turn: int, host: Host, answer: str, found: Any) -> None:
        if answer == "done":
            result, index = found
            shown = index + host.machine.store.shift
            fence = isinstance(result, Variable) and bool(result.lock_id)
            if not isinstance(result, Conflict):
                self.answered.append(Answered(host.disk.epoch, shown, fence))
            if fence and result.lock_id.startswith(self.name):
                self._holds = result.lock_id
        self._heard(turn)

    def _heard(self, turn: int) -> None:
        if turn == self._turn:
            self.begin()

    def _give_up(self, turn: int) -> None:
        if turn == self._turn:
            self.begin()
