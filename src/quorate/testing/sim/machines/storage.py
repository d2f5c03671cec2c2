"""The disks of a simulated world, and their timing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.errors import LogDamaged, StateDamaged, StorageFull
from quorate.raft.effects import Persist
from quorate.raft.roles.log_bound import snapshot_due
from quorate.raft.settings import Settings
from quorate.raft.values.messages import InstallSnapshotRequest
from quorate.runtime.ports import SnapshotPoint, Write
from quorate.testing.sim.machines.disk import Snapshot
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.cluster import Handle
from quorate.testing.sim.verdicts.violations import ViolationError, expect


class Storage:
    """See the module."""

    def __init__(self, world: Stage) -> None:
        self.world = world
        self.at_install: Callable[[Host], None] | None = None  # once the next body is stored
        self._excused: set[str] = set()  # whose log grew over its bound while nothing was applied

    # -- how long things take ---------------------------------------------------------------

    def _disk_delay(self, host: Host) -> float:
        weather, rng = self.world.weather, host.rng
        if weather.stall and rng.random() < weather.stall:
            return rng.random() * weather.stall_delay
        low, high = host.disk_delay or weather.disk
        return low + (high - low) * rng.random() + host.lag

    def turn_s(self, host: Host) -> float:
        """How long a process needs until it comes to what it has put off, in seconds."""
        low, high = self.world.weather.turn
        return low + (high - low) * host.rng.random() if high else 0.0

    # -- the log ----------------------------------------------------------------------------

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
        settings = host.live.settings

        def written() -> None:
            # Not if the process stood still meanwhile: then it could not notice.
            if term and host.paused_until < begun:
                since = max(begun, disk.room_since)  # without room, waiting is no stall
                self._stood_still(host, term, self.world.now - since, settings)
            self._written(host, count)

        if host.at_write and host.at_write.which in {"any", disk.kind_of_write()}:
            self.world.for_host(host, delay / 2, host.at_write.action)
            host.at_write = None
        self.world.for_host(host, delay, written)

    def _stood_still(self, host: Host, term: int, seconds: float, before: Settings) -> None:
        """A leader must have stepped down whose disk did not answer for long."""
        both = (before, host.live.settings)
        late = seconds > max(s.disk_stall_s + 4 * s.heartbeat_interval_s for s in both)
        leads = host.live.leader is not None and host.live.term == term
        expect(
            not (late and leads and not host.disk.full),
            f"{host.name} led on for {seconds:.2f} s although its disk stood still",
        )

    def _written(self, host: Host, count: int) -> None:
        disk = host.disk
        if disk.full:
            disk.waiting = True
            host.driver.disk_full(True)
            self._pass_term(host)
            return  # still busy: goes on when there is room
        batch, disk.queue = disk.queue[:count], disk.queue[count:]
        done = 0
        for persist in batch:
            if done and (persist.truncate_from or persist.reset_to):
                # It is a record of its own: what was written before it is reported before it.
                host.driver.durable(done)
                if not host.node:
                    return
            self._write(host, persist)
            done = persist.sequence
        disk.busy = False
        host.driver.durable(done)
        if host.node:
            self.work_disk(host)

    def _write(self, host: Host, persist: Persist) -> None:
        try:
            host.disk.write(persist)
        except ViolationError:
            raise
        except AssertionError as error:
            raise ViolationError(f"{host.name}: {error}") from error
        self._measure(host)

    def _measure(self, host: Host) -> None:
        """The log keeps to its bound, but for entries that could not be applied as yet."""
        bound, size = host.live.settings.log_bytes_max, host.disk.store.size_bytes()
        if size < bound * 6 // 8 or not bound:
            self._excused.discard(host.name)
        elif host.live.machine_trouble is not None:
            # It can compact nothing, and stores on (raft.log_bound): past the place from which on
            # it would take nothing, and with it what is on its way to the disk when that ends.
            self._excused.add(host.name)
        elif size > bound and host.name not in self._excused:
            floor = host.live.applied_index
            waiting = sum(len(entry.data) for entry in host.disk.log if entry.index > floor)
            text = f"the log of {host.name} has grown to {size} bytes"
            expect(size <= bound + 2 * waiting, text)

    def _pass_term(self, host: Host) -> None:
        """Without room for entries there is room for term and vote."""
        disk = host.disk
        if not (disk.waiting and disk.queue):
            return
        host.driver.term_durable(disk.write_ahead())

    def set_full(self, name: str, full: bool) -> None:
        """Take the room on a disk away, or give it back."""
        host = self.world.hosts[name]
        if host.disk.full == full:
            return
        host.disk.full = full
        host.disk.room_since = self.world.now
        if host.node:
            host.driver.disk_full(full)
            if host.disk.waiting:
                host.disk.waiting = host.disk.busy = False
                self.work_disk(host)

    # -- snapshots --------------------------------------------------------------------------

    def take_snapshot(self, name: str) -> bool:
        """Ask a host for a snapshot of its state; False if there is nothing to take."""
        host = self.world.hosts[name]
        if host.spoiled and not host.mark and not host.machine.changed_in_memory:
            return False  # it would carry the damage, and nothing can know of it yet
        handle = Handle("snapshot", "snapshot", name, host.incarnation, 0)
        handle.settle = self._took
        host.driver.take_snapshot(handle)
        return not handle.answer

    def _took(self, handle: Handle, index: Any, error: BaseException | None) -> None:
        checker = self.world.checker_of(self.world.host(handle.host))
        checker.ended(handle, str(error or f"at {index}"))

    def store_snapshot(
        self,
        host: Host,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """The copy of a state, taken at `point`, goes to the disk."""
        world, node = self.world, host.live
        if node.configuration_index > node.commit_index:
            world.coverage.met("snapshot taken while a configuration was uncommitted")
        if node.applied_index < node.commit_index:
            world.coverage.met("snapshot taken while committed entries were not applied")
        parts: list[bytes] = []
        try:
            write_out(parts.append)
        except StateDamaged as error:
            expect(host.machine.changed_in_memory, error.text)
            world.coverage.met("no snapshot taken of a row that had changed in memory")
            done(error)
            return
        snapshot = Snapshot.of_body(point, b"".join(parts))
        if snapshot_due(node):
            world.coverage.met("a server whose log was at its bound took a snapshot")
        world.checker_of(host).snapshot_taken(host.machine, snapshot.index)

        def stored() -> None:
            if host.disk.full:
                done(StorageFull("no room for a snapshot"))
            else:
                host.disk.store_snapshot(snapshot)
                done(None)

        world.for_host(host, self._disk_delay(host) * 2, stored)

    def receive_snapshot(
        self,
        host: Host,
        reply_to: Any,
        request: InstallSnapshotRequest,
        done: Callable[[bool], None],
    ) -> None:
        """The body that follows a request goes to the disk."""
        del request  # what it says is in the snapshot that is stored
        world = self.world
        snapshot: Snapshot = reply_to.snapshot
        whole = host.rng.random() >= world.weather.broken_snapshot

        def stored() -> None:
            ok = whole and not host.disk.full
            if ok:
                host.disk.store_snapshot(snapshot)
                if self.at_install is not None and host.disk.snapshot is snapshot:
                    strike, self.at_install = self.at_install, None
                    strike(host)
                if host.rng.random() < world.weather.crash_after_install:
                    world.coverage.met("crashed between snapshot and log of an install")
                    world.crash(host.name)
                    world.later(0.2, lambda: world.revive(host.name))
                    return
            else:
                world.coverage.met("the body of a snapshot was lost")
            done(ok)

        world.for_host(host, self._disk_delay(host) * 4, stored)

    def open_snapshot(self, host: Host, index: int, term: int, done: Callable[[Any], None]) -> None:
        """Read an installed snapshot back; damage stops the server."""
        world = self.world

        def read() -> None:
            stored = host.disk.snapshots.get(index)
            expect(stored is not None and stored.term == term, "no such snapshot to restore")
            assert stored is not None
            try:
                snapshot = stored.opened(f"{host.name}/snapshots")
            except LogDamaged as damage:
                host.driver.fail(damage)
            else:
                expect(host.disk.snapshot_is_whole(index), f"{host.name} believed damage: snapshot")
                done(snapshot)

        world.for_host(host, self.turn_s(host), read)
