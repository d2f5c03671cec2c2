"""Clients of a simulated cluster: each does one operation after the other and notes what it saw.

They use two registers of the replicated state (see `machine`): read, write, and compare-and-set by
the modify index that they saw last. Now and then one sends a batch of other writes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from quorate.raft.effects import Reason
from quorate.testing.history import Kind, Pending, Recorder
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.machine import REGISTERS, write_command
from quorate.testing.sim.plans.plan import ClientPlan
from quorate.testing.sim.verdicts.cluster import Handle

if TYPE_CHECKING:
    from quorate.testing.sim.world import World

_NOT_DONE = {
    reason.value
    for reason in (
        *(Reason.NOT_LEADER, Reason.STORAGE_FULL, Reason.OVERLOADED, Reason.TRANSFERRING),
        Reason.LOG_AT_BOUND,
    )
}
_BACK_OFF_S = 0.05  # after a refusal
_LEADER_SHARE = 0.9  # of the operations go to a server that leads, or believes so


class Client:
    """See the module."""

    def __init__(self, world: World, plan: ClientPlan, recorder: Recorder) -> None:
        self.world = world
        self.plan = plan
        self.recorder = recorder
        self.rng = Random(f"{world.seed} client {plan.number}")
        self.name = f"c{plan.number}"
        self.until = float("inf")
        self._values = 0
        self._seen: dict[str, tuple[int | None, int]] = {}
        self._turn = 0  # a late answer to an earlier operation is told by it

    def begin(self) -> None:
        """Start, after a pause."""
        self.world.later(self.rng.random() * self.plan.pause_s, self._go)

    def _go(self) -> None:
        if self.world.now >= self.until:
            return
        host = self._someone()
        if host is None:
            self.begin()
            return
        draw = self.rng.random()
        if draw < 0.1:
            # Of a size that one sector of a disk does not hold, as a rule.
            self.world.propose(host, self.rng.choice([1, 2, 7]), self.rng.choice([0, 700, 3000]))
            self.begin()
            return
        self._turn += 1
        turn = self._turn
        register = self.rng.choice(REGISTERS)
        if draw < 0.5:
            pending = self.recorder.read(self.name, register)
            handle = self.world.handle(host, "read", register.encode())
            ask: Callable[[Host, Handle], None] = self.world.ask_read
        else:
            pending, data = self._write(register, compare=draw > 0.75)
            handle = self.world.handle(host, "write", data)
            ask = self.world.ask_write

        def heard(answer: str, found: Any) -> None:
            if handle.by_stopped_clock:
                answer = "perhaps of the past"
            self._heard(turn, pending, answer, found)

        handle.on_answer = heard
        self.world.later(self.plan.patience_s, lambda: self._give_up(turn, pending))
        ask(host, handle)

    def _write(self, register: str, *, compare: bool) -> tuple[Pending, bytes]:
        self._values += 1
        value = self._values * 100 + self.plan.number
        if not compare:
            return self.recorder.write(self.name, register, value), write_command(register, value)
        before, index = self._seen.get(register, (None, 0))
        pending = self.recorder.compare_and_set(self.name, register, before, value)
        return pending, write_command(register, value, index)

    def _someone(self) -> Host | None:
        running = self.world.running()
        if not running:
            return None
        leaders = [host for host in running if host.live.leader]
        if leaders and self.rng.random() < _LEADER_SHARE:
            return self.rng.choice(leaders)
        return self.rng.choice(running)

    def _heard(self, turn: int, pending: Pending, answer: str, found: Any) -> None:
        if turn != self._turn:
            return  # it has given up already
        self._turn += 1
        if answer == "done":
            self._note(pending, found)
        elif answer.partition(": ")[0] in _NOT_DONE:
            pending.refused()
            self.world.later(_BACK_OFF_S, self.begin)
            return
        else:
            pending.lost()
        self.begin()

    def _note(self, pending: Pending, found: Any) -> None:
        if pending.kind is Kind.READ:
            self._seen[pending.key] = found
            pending.found(found[0])
            return
        written, index = found
        if written:
            self._seen[pending.key] = (int(str(pending.value)), index)
        else:
            self.world.coverage.met("a compare-and-set was refused")
        pending.done(swapped=written)

    def _give_up(self, turn: int, pending: Pending) -> None:
        if turn == self._turn:
            self._turn += 1
            self.world.coverage.met("a client gave up waiting")
            pending.lost()
            self.begin()
