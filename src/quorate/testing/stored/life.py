"""One life of a cluster that stores variables and locks: faults, then recovery, then a verdict.

The plan of a seed is that of `quorate.testing.sim`, with the same faults; its clients are of
another kind, and operators save, restore and rotate.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from quorate.runtime.listeners import Listeners
from quorate.testing.history import Kind, Operation
from quorate.testing.sim.life import Life
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.stored.clients import REGISTERS, VariableClient
from quorate.testing.stored.holders import Holder
from quorate.testing.stored.process import StoredProcess
from quorate.testing.stored.rules import Rules, Value

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
    "a compare-and-set was refused",
    "a client gave up waiting",
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
