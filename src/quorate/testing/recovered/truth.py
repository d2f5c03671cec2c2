"""The contents of survivors before a recovery, and what of them must be there after it."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.raft.values.messages import EntryKind
from quorate.state.engine.restore.shift import RESTORE_LEVEL
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import autopilot, locks, scheduler, variables
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World


class Truth:
    """The acknowledged writes that some of these stopped hosts hold, and the states of all."""

    def __init__(self, world: World, hosts: Sequence[Host]) -> None:
        checker = world.checker_of(hosts[0])
        self.holders: dict[int, set[str]] = {}
        for index in checker.acknowledged:
            term = checker.committed[index]
            holding = {host.name for host in hosts if host.disk.holds(index, term)}
            if holding:
                self.holders[index] = holding
        self.ends = {host.name: host.disk.end for host in hosts}
        self._states = {host.name: _state(host.disk) for host in hosts}
        self.has_lock = any(
            row.lock_id
            for state in self._states.values()
            for row in state.rows(locks.TABLE).values()
        )

    def expect_held_by(self, name: str) -> None:
        """All acknowledged writes that one of them holds are held by this one."""
        lost = sorted(index for index, names in self.holders.items() if name not in names)
        expect(
            not lost,
            f"{name} leads, and lacks the acknowledged write at {lost[:1]}, which "
            f"{sorted(self.holders[lost[0]]) if lost else ()} held",
        )

    def expect_state(self, host: Host) -> None:
        """The recovered state of a host has all that its disk held, and goes on far above it."""
        stored, before = host.disk.snapshot, self._states[host.name]
        assert stored is not None, f"{host.name} was recovered"
        found = StateStore(TODAY)
        found.restore(stored.image())
        expect(_values(found) == _values(before), f"{host.name} lost a part of its state")
        held = [row.path for row in found.rows(locks.TABLE).values() if row.lock_id]
        expect(not held, f"{host.name} goes on with a lock that nobody can have renewed: {held}")
        if before.level >= RESTORE_LEVEL:
            expect(found.shift > before.shift, f"the indexes of {host.name} do not go on above")


def _state(disk: SimDisk) -> StateStore:
    """The state of all that a disk holds, from what was made durable there."""
    store = StateStore(TODAY)
    if disk.snapshot is not None:
        store.restore(disk.snapshot.image())
    for entry in disk.log:
        if entry.kind == EntryKind.COMMAND and entry.index > store.applied_index:
            store.apply(entry.index, entry.data)
    return store


def _values(store: StateStore) -> tuple[object, ...]:
    rows = store.rows(variables.TABLE).values()
    return (
        store.level,
        scheduler.current(store),
        autopilot.current(store),
        {row.path: (row.data, row.create_index) for row in rows},
    )
