"""Clients of variables: they read, write, compare-and-set and delete, and note what they saw.

Registers are single variables, and a pair of them that is only written together. Each value is
written once. In a history the value is what was written and the index that it got: after a restore
the same may stand there again, with another index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from quorate.errors import QuorateError
from quorate.state.engine.table import Command
from quorate.state.tables import variables
from quorate.state.tables.variables import (
    Conflict,
    DeleteVariable,
    Operation,
    PutVariable,
    Variable,
    WriteVariables,
    key_of,
)
from quorate.testing.history import Kind, Pending, Recorder
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.machine import SimMachine
from quorate.testing.sim.plans.plan import ClientPlan
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World
from quorate.testing.stored.process import NOT_BEGUN, StoredProcess
from quorate.testing.stored.rules import Rules, Value

NAMESPACE = "default"
SINGLE = ("a", "b")
PAIR = ("pair/x", "pair/y")
LOCKED = ("locks/one", "locks/two")
REGISTERS = {
    **{name: key_of(NAMESPACE, name) for name in SINGLE},
    "pair": key_of(NAMESPACE, PAIR[0]),
}

_BACK_OFF_S = 0.05
_LEADER_SHARE = 0.9
_NUMBERS = 100  # clients: values of different ones differ


class Asking:
    """A client of a cluster: it asks a server that leads, as a rule."""

    def __init__(
        self, world: World, processes: Mapping[str, StoredProcess], name: str, patience_s: float
    ) -> None:
        self.world = world
        self.processes = processes
        self.name = name
        self.rng = Random(f"{world.seed} client {name}")
        self.until = float("inf")
        self._patience_s = patience_s
        self._turn = 0

    def someone(self) -> StoredProcess | None:
        """A server to ask."""
        running = [host for host in self.world.running() if host.name in self.processes]
        leaders = [host for host in running if host.live.leader]
        if leaders and self.rng.random() < _LEADER_SHARE:
            running = leaders
        return self.processes[self.rng.choice(running).name] if running else None

    def ask_write(
        self,
        process: StoredProcess,
        make: Callable[[], Command],
        heard: Callable[[Any, int, QuorateError | None], None],
        lost: Callable[[], None],
    ) -> None:
        """Ask for a write; then `heard`, or `lost` when no answer came in time."""
        self._turn += 1
        turn = self._turn

        def settle(result: Any, index: int, error: QuorateError | None) -> None:
            if turn == self._turn:
                self._turn += 1
                # Not in the midst of what the server is doing.
                self.world.later(0.0, lambda: heard(result, index, error))

        def give_up() -> None:
            if turn == self._turn:
                self._turn += 1
                lost()

        self.world.later(self._patience_s, give_up)
        process.write(make, settle)

    def ask_read(
        self,
        host: Host,
        look: Callable[[SimMachine], Any],
        heard: Callable[[str, Any], None],
        lost: Callable[[], None],
    ) -> None:
        """Ask for a linearizable read; then `heard`, or `lost` when no answer came in time."""
        self._turn += 1
        turn = self._turn
        handle = self.world.handle(host, "read")
        handle.look = look

        def settle(answer: str, found: Any) -> None:
            if turn == self._turn:
                self._turn += 1
                heard("perhaps of the past" if handle.by_stopped_clock else answer, found)

        def give_up() -> None:
            if turn == self._turn:
                self._turn += 1
                lost()

        handle.on_answer = settle
        self.world.later(self._patience_s, give_up)
        self.world.ask_read(host, handle)


class VariableClient(Asking):
    """See the module."""

    def __init__(
        self,
        world: World,
        processes: Mapping[str, StoredProcess],
        plan: ClientPlan,
        recorder: Recorder,
        rules: Rules,
    ) -> None:
        super().__init__(world, processes, f"v{plan.number}", plan.patience_s)
        self.plan = plan
        self.recorder = recorder
        self.rules = rules
        self._written = 0
        self._seen: dict[str, Value | None] = {}

    def begin(self) -> None:
        """Start, after a pause."""
        self.world.later(self.rng.random() * self.plan.pause_s, self._go)

    def _go(self) -> None:
        if self.world.now >= self.until:
            return
        process, register = self.someone(), self.rng.choice(list(REGISTERS))
        if process is None:
            self.begin()
        elif (draw := self.rng.random()) < 0.4:
            self._read(process, register)
        elif draw < 0.5:
            self._intrude(process)
        else:
            self._write(process, register)

    # -- reads ------------------------------------------------------------------------------

    def _read(self, process: StoredProcess, register: str) -> None:
        pending = self.recorder.read(self.name, register)

        def look(machine: SimMachine) -> Value | None:
            if register == "pair":
                return self._look_at_pair(process, machine)
            return self._look(process, machine, register)

        def heard(answer: str, found: Value | None) -> None:
            if answer == "done":
                self._seen[register] = found
                pending.found(found)
            else:
                pending.lost()
            self.begin()

        self.ask_read(process.host, look, heard, lambda: self._lost(pending))

    def _look(self, process: StoredProcess, machine: SimMachine, path: str) -> Value | None:
        row = machine.store.get(variables.TABLE, key_of(NAMESPACE, path))
        if row is None:
            return None
        try:
            items = process.sealer.open(row)
        except QuorateError as error:
            expect(False, f"{path} does not open: {error}")
            raise
        expect(items == {"v": str(row.modify_time)}, f"{path} opens as {items}")
        return Value(row.modify_time, row.modify_index)

    def _look_at_pair(self, process: StoredProcess, machine: SimMachine) -> Value | None:
        one, other = [self._look(process, machine, path) for path in PAIR]
        expect(one == other, f"written together, and read as {one} and {other}")
        return one

    def _lost(self, pending: Pending) -> None:
        self.rules.met["a client gave up waiting"] += 1
        pending.lost()
        self.begin()

    # -- writes -----------------------------------------------------------------------------

    def _intrude(self, process: StoredProcess) -> None:
        """A variable with a lock is written, or deleted, by a client that knows of no lock."""
        self._written += 1
        number = self._written * _NUMBERS + self.plan.number
        path, deletes = self.rng.choice(LOCKED), self.rng.random() < 0.3

        def heard(result: Any, index: int, error: QuorateError | None) -> None:
            del index, error
            if isinstance(result, Conflict):
                self.rules.met["a write that named no lock was refused"] += 1
            self.begin()

        make = partial(_one, process, path, number, None, deletes)
        self.ask_write(process, make, heard, self.begin)

    def _write(self, process: StoredProcess, register: str) -> None:
        self._written += 1
        number = self._written * _NUMBERS + self.plan.number
        draw, deletes = self.rng.random(), self.rng.random() < 0.15
        seen = self._seen.get(register)
        cas = None if draw < 0.5 else 0 if seen is None else seen.at
        after = None if deletes else Value(number, 0)
        if cas is None:
            pending = self.recorder.write(self.name, register, after)
        else:
            pending = self.recorder.compare_and_set(self.name, register, seen, after)
        several = register == "pair"
        make = partial(_several if several else _one, process, register, number, cas, deletes)
        heard = partial(self._heard, pending, register)
        self.ask_write(process, make, heard, lambda: self._lost(pending))

    def _heard(
        self, pending: Pending, register: str, result: Any, index: int, error: QuorateError | None
    ) -> None:
        del index
        if isinstance(error, NOT_BEGUN):
            pending.refused()
            self.world.later(_BACK_OFF_S, self.begin)
            return
        if error is not None:
            pending.lost()
        elif isinstance(result, Conflict):
            conflicts = pending.kind is Kind.CAS
            expect(conflicts, f"{register} was not written, without a condition: {result}")
            self.rules.met["a compare-and-set was refused"] += 1
            pending.done(swapped=False)
        else:
            row = result[0] if type(result) is tuple else result
            after = None
            if isinstance(row, Variable):
                after = Value(row.modify_time, row.modify_index)
            pending.value = self._seen[register] = after
            pending.done()
        self.begin()


def _one(
    process: StoredProcess, register: str, number: int, cas: int | None, deletes: bool
) -> Command:
    if deletes:
        return DeleteVariable(namespace=NAMESPACE, path=register, cas=cas)
    sealed = process.sealer.seal(NAMESPACE, register, {"v": str(number)})
    return PutVariable(
        namespace=NAMESPACE,
        path=register,
        time_ns=number,
        data=sealed.data,
        key_id=sealed.key_id,
        nonce=sealed.nonce,
        cas=cas,
    )


def _several(
    process: StoredProcess, register: str, number: int, cas: int | None, deletes: bool
) -> Command:
    del register
    operations = []
    for path in PAIR:
        items = None if deletes else process.sealer.seal(NAMESPACE, path, {"v": str(number)})
        operations.append(Operation(namespace=NAMESPACE, path=path, items=items, cas=cas))
    return WriteVariables(time_ns=number, operations=tuple(operations))
