"""What disks and state machines of a simulated world do, and how long it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_checks import ViolationError, expect
from sim_disk import Snapshot
from sim_hosts import Host

from quorate.raft import effects as fx
from quorate.raft import events as ev

if TYPE_CHECKING:
    from world import World


class Storage:
    """See the module."""

    def __init__(self, world: World) -> None:
        self.world = world

    def receive_snapshot(self, host: Host, effect: fx.ReceiveSnapshot) -> None:
        snapshot = effect.reply_to.snapshot
        incarnation = host.incarnation
        ok = self.world.rng.random() >= self.world.weather.broken_snapshot

        def stored() -> None:
            if not host.node or host.incarnation != incarnation:
                return
            if ok and not host.disk.full:
                host.disk.store_snapshot(snapshot)
                if self.world.rng.random() < self.world.weather.crash_after_install:
                    self.world.crash(host.name)
                    self.world.later(0.2, lambda: self.world.revive(host.name))
                    return
            done = ok and not host.disk.full
            self.world.step(host, ev.SnapshotReceived(effect.reply_to, effect.request, done))

        self.world.later(self._disk_delay(host) * 4, stored)

    def _disk_delay(self, host: Host) -> float:
        if self.world.weather.stall and self.world.rng.random() < self.world.weather.stall:
            return self.world.rng.uniform(0, self.world.weather.stall_delay)
        return self.world.between(host.disk_delay or self.world.weather.disk)

    def work_disk(self, host: Host) -> None:
        disk = host.disk
        if disk.busy or not disk.queue:
            return
        disk.busy = True
        incarnation, count = host.incarnation, len(disk.queue)

        def done() -> None:
            if host.node and host.incarnation == incarnation:
                self._written(host, count)

        self.world.later(self._disk_delay(host), done)

    def _written(self, host: Host, count: int) -> None:
        disk = host.disk
        if disk.full:
            disk.waiting = True
            self.world.step(host, ev.StorageState(full=True))
            return  # still busy: goes on when there is room
        batch, disk.queue = disk.queue[:count], disk.queue[count:]
        try:
            for persist in batch:
                disk.write(persist)
                for effect in persist.then:
                    self.world.perform(host, effect)
        except AssertionError as error:
            raise ViolationError(f"{host.name}: {error}") from error
        disk.busy = False
        self.world.step(host, ev.Persisted(batch[-1].sequence))
        self.work_disk(host)

    def set_full(self, name: str, full: bool) -> None:
        """Take the room on a disk away, or give it back."""
        host = self.world.hosts[name]
        if host.disk.full == full:
            return
        host.disk.full = full
        if host.node:
            self.world.step(host, ev.StorageState(full=full))
            if host.disk.waiting:
                host.disk.waiting = host.disk.busy = False
                self.work_disk(host)

    def take_snapshot(self, name: str) -> bool:
        """Begin a snapshot of a node's state machine; False if there is nothing to take."""
        host = self.world.hosts[name]
        point = host.live.snapshot_point()
        if point is None or point[0] != host.machine.index:
            return False
        snapshot = Snapshot(*point, host.machine.digest)
        incarnation = host.incarnation

        def stored() -> None:
            if host.node and host.incarnation == incarnation and not host.disk.full:
                host.disk.store_snapshot(snapshot)
                self.world.step(host, ev.SnapshotStored(snapshot.index, snapshot.term))

        self.world.later(self._disk_delay(host) * 2, stored)
        return True

    def work_machine(self, host: Host) -> None:
        if host.working or not host.jobs:
            return
        host.working = True
        incarnation = host.incarnation

        def work() -> None:
            if host.node and host.incarnation == incarnation:
                self._do_job(host, host.jobs.popleft())

        self.world.later(self.world.between(self.world.weather.apply), work)

    def _do_job(self, host: Host, job: fx.Apply | fx.RestoreSnapshot) -> None:
        machine = host.machine
        if isinstance(job, fx.RestoreSnapshot):
            expect(job.index in host.disk.snapshots, "no such snapshot to restore")
            machine.restore(host.disk.snapshots[job.index])
            known = self.world.checker.digests.get(machine.index)
            expect(known == machine.digest, f"restored another state at {machine.index}")
        else:
            for entry in job.entries:
                expect(entry.index == machine.index + 1, "applied out of order")
                machine.apply(entry)
                self.world.checker.applied(machine, entry)
                handle = job.handles.get(entry.index)
                if handle is not None:
                    self.world.checker.write_done(handle, entry)
        host.working = False
        self.world.later_step(
            host, self.world.between(self.world.weather.apply), ev.Applied(machine.index)
        )
        self.work_machine(host)
