"""One life of a cluster that stores variables and locks: faults, then recovery, then a verdict.

The plan of a seed is that of `quorate.testing.sim`, with the same faults; its clients are of
another kind, and operators save, restore and rotate.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from quorate.errors import QuorateError
from quorate.runtime.listeners import Listeners
from quorate.state.engine.restore import commands as restoring
from quorate.state.tables import locks, root_keys, variables
from quorate.testing.history import Kind, Operation
from quorate.testing.sim.life import Life
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World
from quorate.testing.stored.clients import REGISTERS, VariableClient
from quorate.testing.stored.holders import Holder
from quorate.testing.stored.operators import Operators
from quorate.testing.stored.process import StoredProcess
from quorate.testing.stored.rules import Rules, Value

SETTLED_S = 8.0
"""Virtual seconds, from the end of all else until nothing is owed."""

SITUATIONS = (
    "a lock was acquired",
    "an acquisition may stand or not",
    "a lock expired",
    "a lock changed hands",
    "an expiry came too late",
    "a renewal was refused",
    "a holder took its lock for lost",
    "a holder heard that its lock was lost",
    "a holder went away",
    "a write of a former holder was refused",
    "a write that named no lock was refused",
    "a compare-and-set was refused",
    "a client gave up waiting",
    "a restore was begun",
    "a restore took effect",
    "a restore was refused at its end",
    "a restore ended a lock",
    "a leader was killed within a restore",
    "values were sealed again",
    "a rotation ended",
    "a root key was removed",
)
"""What lives are to come through."""


class StoredLife(Life):
    """Plays a plan. `run` raises FailedLifeError."""

    program = "quorate.testing.stored"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        world = self.world
        self.rules = Rules(world, plan.clocks, REGISTERS)
        self.processes: dict[str, StoredProcess] = {}
        self._former: list[StoredProcess] = []
        world.on_process = self._begins
        common = (world, self.processes)
        self.clients = [
            *(VariableClient(*common, each, self.recorder, self.rules) for each in plan.clients),
            *(Holder(*common, each, self.rules) for each in plan.clients[:3]),
        ]
        self.operators = Operators(*common, self.rules, plan.duration)
        self.operators.begin()

    def run(self) -> World:
        """See Life."""
        try:
            return super().run()
        finally:
            for process in self._former:
                process.loop.close()

    @property
    def met(self) -> Counter[str]:
        """How often each situation came about."""
        return self.rules.met

    def _begins(self, host: Host, listeners: Listeners) -> None:
        """A process begins; of a second body only what it does by itself."""
        host.machine.witness = self.rules
        process = StoredProcess(self.world, host, listeners)
        self._former.append(process)  # nothing of one that has ended is to be collected, and go on
        if host.name in self.world.hosts:
            self.processes[host.name] = process

    # -- the end ------------------------------------------------------------------------------

    def _look_back(self) -> None:
        if self.world.leader() is not None and not self._quorum_is_lost():
            self._settle()
        for host in self.world.running():
            self._open_all(self.processes[host.name])
        super()._look_back()

    def _settle(self) -> None:
        """What a leader owes is done in bounded time: locks end, restores, and rotations."""
        world = self.world
        end = world.now + SETTLED_S
        while (owed := self._owed()) and world.now < end:
            world.run_until(world.now + 0.25)
        expect(not owed, f"after {SETTLED_S} s: {owed}")

    def _owed(self) -> str:
        leader = self.world.leader()
        if leader is None:
            return "there is no leader"
        store = leader.machine.store
        if store.rows(locks.TABLE):
            return f"locks that nobody renews are left: {list(store.rows(locks.TABLE))}"
        if restoring.current(store) is not None:
            return "a restore is under way that nobody will end"
        found = root_keys.active(store)
        if found is None:
            return "there is no root key"
        if found[1].phase:
            return f"a rotation has not ended: {found[1]}"
        rows = store.rows(variables.TABLE).values()
        older = [row.path for row in rows if row.key_id != found[0]]
        return f"values sealed with older keys are left: {older}" if older else ""

    def _open_all(self, process: StoredProcess) -> None:
        """Every value opens, with a key that is there."""
        for row in process.state.rows(variables.TABLE).values():
            try:
                process.sealer.open(row)
            except QuorateError as error:
                expect(False, f"{row.path} does not open: {error}")

    def _history(self) -> list[Operation]:
        """With the indexes that lost writes have got, and with restores as writes."""
        history = [self._placed(each) for each in super()._history()]
        for restore in self.rules.restores:
            history += [
                Operation(
                    key=register,
                    kind=Kind.WRITE,
                    value=value,
                    called_at=restore.at,
                    returned_at=restore.at,
                    client="restore",
                )
                for register, value in restore.values.items()
            ]
        return sorted(history, key=lambda operation: operation.called_at)

    def _placed(self, operation: Operation) -> Operation:
        value = operation.value
        if not isinstance(value, Value) or value.at or operation.returned_at is not None:
            return operation
        index = self.rules.indexes.get(value.written, 0)
        return msgspec.structs.replace(operation, value=Value(value.written, index))
