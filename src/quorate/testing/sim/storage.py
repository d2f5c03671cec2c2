"""What disks and state machines of a simulated world do, and how long it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.errors import LogDamaged
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.testing.sim.checks import ViolationError, expect
from quorate.testing.sim.disk import Snapshot
from quorate.testing.sim.hosts import Host

if TYPE_CHECKING:
    from quorate.testing.sim.world import World


class Storage:
    """See the module."""

    def __init__(self, world: World) -> None:
        self.world = world

    def receive_snapshot(self, host: Host, effect: fx.ReceiveSnapshot) -> None:
        """The body that follows a request goes to the disk."""
        world = self.world
        snapshot: Snapshot = effect.reply_to.snapshot
        ok = host.rng.random() >= world.weather.broken_snapshot

        def stored() -> None:
            done = ok and not host.disk.full
            if done:
                host.disk.store_snapshot(snapshot)
                if host.rng.random() < world.weather.crash_after_install:
                    world.coverage.met("crashed between snapshot and log of an install")
                    world.crash(host.name)
                    world.later(0.2, lambda: world.revive(host.name))
                    return
            else:
                world.coverage.met("the body of a snapshot was lost")
            world.step(host, ev.SnapshotReceived(effect.reply_to, effect.request, done))

        world.for_host(host, self._disk_delay(host) * 4, stored)

    def _disk_delay(self, host: Host) -> float:
        weather, rng = self.world.weather, host.rng
        if weather.stall and rng.random() < weather.stall:
            return rng.random() * weather.stall_delay
        low, high = host.disk_delay or weather.disk
        return low + (high - low) * rng.random() + host.lag

    def work_disk(self, host: Host) -> None:
        """Begin the next transaction, if the disk is idle: all that waits."""
        disk = host.disk
        if disk.waiting and disk.queue:
            self.world.for_host(host, self._disk_delay(host), lambda: self._pass_term(host))
        if disk.busy or not disk.queue:
            return
        disk.busy = True
        count = len(disk.queue)
        begun = self.world.now
        term = host.live.term if host.live.leader else 0
        delay = self._disk_delay(host)

        def written() -> None:
            # Not if the process stood still meanwhile: then it could not notice.
            if term and host.paused_until < begun:
                since = max(begun, disk.room_since)  # without room, waiting is no stall
                self._stood_still(host, term, self.world.now - since)
            self._written(host, count)

        if host.at_write and host.at_write.which in {"any", disk.kind_of_write()}:
            self.world.for_host(host, delay / 2, host.at_write.action)
            host.at_write = None
        self.world.for_host(host, delay, written)

    def _stood_still(self, host: Host, term: int, seconds: float) -> None:
        """A leader must have stepped down whose disk did not answer for long."""
        settings = self.world.settings
        late = seconds > settings.disk_stall_s + 4 * settings.heartbeat_interval_s
        leads = host.live.leader is not None and host.live.term == term
        expect(
            not (late and leads and not host.disk.full),
            f"{host.name} led on for {seconds:.2f} s although its disk stood still",
        )

    def _written(self, host: Host, count: int) -> None:
        disk = host.disk
        if disk.full:
            disk.waiting = True
            self.world.step(host, ev.StorageState(full=True))
            self._pass_term(host)
            return  # still busy: goes on when there is room
        batch, disk.queue = disk.queue[:count], disk.queue[count:]
        try:
            for persist in batch:
                disk.write(persist)
                for effect in persist.then:
                    self.world.perform(host, effect)
        except ViolationError:
            raise
        except AssertionError as error:
            raise ViolationError(f"{host.name}: {error}") from error
        disk.busy = False
        self.world.step(host, ev.Persisted(batch[-1].sequence))
        self.work_disk(host)

    def _pass_term(self, host: Host) -> None:
        """Without room for entries there is room for term and vote."""
        disk = host.disk
        if not (disk.waiting and disk.queue):
            return
        sequence = disk.write_ahead()
        left = [effect for persist in disk.queue for effect in persist.of_term]
        disk.queue = [fx.without_of_term(persist) for persist in disk.queue]
        for effect in left:
            self.world.perform(host, effect)
        self.world.step(host, ev.TermPersisted(sequence))

    def set_full(self, name: str, full: bool) -> None:
        """Take the room on a disk away, or give it back."""
        host = self.world.hosts[name]
        if host.disk.full == full:
            return
        host.disk.full = full
        host.disk.room_since = self.world.now
        if host.node:
            self.world.step(host, ev.StorageState(full=full))
            if host.disk.waiting:
                host.disk.waiting = host.disk.busy = False
                self.work_disk(host)

    def take_snapshot(self, name: str) -> bool:
        """Begin a snapshot of a node's state machine; False if there is nothing to take."""
        world = self.world
        host = world.hosts[name]
        node = host.live
        point = node.snapshot_point()
        if point is None or point[0] != host.machine.index:
            return False
        if node.configuration_index > node.commit_index:
            world.coverage.met("snapshot taken while a configuration was uncommitted")
        snapshot = Snapshot.of(point, host.machine.store.image())
        world.checker.snapshot_taken(host.machine)

        def stored() -> None:
            if not host.disk.full:
                host.disk.store_snapshot(snapshot)
                world.step(host, ev.SnapshotStored(snapshot.index, snapshot.term))

        world.for_host(host, self._disk_delay(host) * 2, stored)
        return True

    def work_machine(self, host: Host) -> None:
        """Give the state machine its next job, if it is idle."""
        if host.working or not host.jobs:
            return
        host.working = True
        delay = self._apply_delay(host)
        self.world.for_host(host, delay, lambda: self._do_job(host, host.jobs.popleft()))

    def _do_job(self, host: Host, job: fx.Apply | fx.RestoreSnapshot) -> None:
        world, machine = self.world, host.machine
        if isinstance(job, fx.RestoreSnapshot):
            if not self._restore(host, job.index):
                return
        else:
            for entry in job.entries:
                expect(entry.index == machine.index + 1, "applied out of order")
                result = machine.apply(entry)
                world.checker.applied(machine, entry)
                handle = job.handles.get(entry.index)
                if handle is not None:
                    world.checker.write_done(handle, entry, result)
        host.working = False
        world.for_host(host, self._apply_delay(host), lambda: self._applied(host, machine.index))

    def _apply_delay(self, host: Host) -> float:
        low, high = self.world.weather.apply
        return low + (high - low) * host.rng.random()

    def _applied(self, host: Host, index: int) -> None:
        self.world.step(host, ev.Applied(index))
        if host.node:
            self.work_machine(host)

    def _restore(self, host: Host, index: int) -> bool:
        """Read an installed snapshot back; False if it was damaged, which stops the server."""
        world = self.world
        expect(index in host.disk.snapshots, "no such snapshot to restore")
        try:
            snapshot = host.disk.snapshots[index].opened(f"{host.name}/snapshots")
        except LogDamaged as damage:
            world.fail(host, damage)
            return False
        world.checker.restored(host.machine, snapshot)
        return True
