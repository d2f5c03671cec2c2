"""A simulated cluster: real nodes, virtual time, one seed, and every fault we can think of.

Every host runs the driver that servers run (`quorate.runtime.raft`), on a network that delays,
loses, doubles and reorders, disks that are slow, stuck, full or forgetful, and clocks that drift
(`surroundings`). Nothing in it looks at the wall clock, and every choice comes from generators made
from the seed, one for each host, so a seed replays, and what one host draws does not change what
another one draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

from quorate.errors import BadFrame, LogDamaged, StateDamaged
from quorate.raft import Settings
from quorate.raft import effects as fx
from quorate.raft.values.configuration import Change, Configuration
from quorate.raft.values.messages import Entry, EntryKind, HardState
from quorate.runtime.listeners import Listeners
from quorate.runtime.ports import SnapshotPoint
from quorate.runtime.raft import RaftDriver
from quorate.state.engine.snapshot import SnapshotError
from quorate.storage.log.scrub import LogScrub
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.machine import SimMachine
from quorate.testing.sim.machines.network import Network
from quorate.testing.sim.machines.storage import Storage
from quorate.testing.sim.machines.surroundings import (
    SimClock,
    SimDiskPort,
    SimNetworkPort,
    SimSnapshotsPort,
    WatchedNode,
)
from quorate.testing.sim.plans.meetings import Meetings
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.cluster import Handle
from quorate.testing.sim.verdicts.printers import effect_text, event_text
from quorate.testing.sim.verdicts.spots import SPACE
from quorate.testing.sim.verdicts.violations import ViolationError, expect
from quorate.wire.raft import membership as codec


class World(Stage):
    """See the module. `founded`: the disks of `members` hold the first entry from the start."""

    def __init__(
        self,
        seed: Any,
        names: Iterable[str],
        settings: Settings,
        members: Configuration,
        *,
        founded: bool = True,
        rng: Random | None = None,
    ) -> None:
        """With `rng` all hosts draw from that one."""
        super().__init__(seed, settings)
        self.hosts = {
            name: Host(
                name,
                rng or Random(f"quorate {seed} {name}"),
                SimDisk(name, met=self.coverage.met),
            )
            for name in names
        }
        self.network = Network(self)
        self.meetings = Meetings(self, self.network.is_cut)
        self.network.meet = self.meetings.meet
        self.network.told = self.meetings.told
        self.network.greet = self.meetings.greet
        self.storage = Storage(self)
        self.handles: list[Handle] = []
        self.on_retire: Callable[[Host], None] = lambda _host: None
        self.on_process: Callable[[Host, Listeners], None] = lambda _host, _listeners: None
        self.first = Entry(1, 1, EntryKind.CONFIGURATION, codec.encode_configuration(members))
        self.checker.entries[1, 1] = (self.first.value(), 0)
        if founded:
            for server in members.servers:
                self.hosts[server.id].disk.fill([self.first], HardState(1))

    # -- machines ---------------------------------------------------------------------------

    def start(self, name: str, greets_after_s: float = 0.001) -> None:
        """Start a node from what its disk holds; it stays down if that is damaged."""
        host = self.host(name)
        host.incarnation += 1
        host.paused_until = 0.0
        machine = SimMachine(self.checker_of(host))
        machine.holds_at = host.holds_at
        point = None
        try:
            stored = host.disk.load()
            if stored:
                point = (
                    *(stored.index, stored.term),
                    *(stored.configuration, stored.configuration_index),
                )
                machine.restore(stored)
                self.coverage.met("snapshot restored at a start")
            expect(not host.disk.flipped, f"{name} believed damage: {sorted(host.disk.flipped)}")
        except (LogDamaged, SnapshotError) as damage:
            self.fail(host, damage)
            return
        self._drive(host, machine, point)
        if host.live.log.superseded:
            self.coverage.met("a log was replaced by its snapshot at a start")
        if host.disk.full:
            host.driver.disk_full(True)
        if host.mark:
            host.driver.quarantine(StateDamaged(host.mark))
        host.greets_after_s = greets_after_s
        host.driver.start(greets=True)

    def _drive(self, host: Host, machine: SimMachine, point: SnapshotPoint | None) -> None:
        """A process of the host: the production driver, with a watched node in it."""
        clock = host.timers = SimClock(self, self.storage, host)
        try:
            node = WatchedNode(
                self,
                host,
                server_id=host.server_id,
                address=host.address,
                settings=host.settings or self.settings,
                promise_s=host.promised_s,
                reader=host.disk.store,
                hard_state=host.disk.hard_state,
                codec=codec,
                rng=Random(host.rng.random()),
                now=clock.now(),
                snapshot=point,
            )
        except ValueError as error:
            raise ViolationError(f"{host.name} does not start: {error}") from error
        node.identity = self.meetings.record(host)
        node.prepared = host.disk.prepared
        listeners = Listeners(failure=[lambda error: self._failed(host, error)])
        driver = RaftDriver(
            node,
            machine,
            clock,
            disk=SimDiskPort(self.storage, host),
            network=SimNetworkPort(self.network, host),
            snapshots=SimSnapshotsPort(self.storage, self.network, host),
            listeners=listeners,
        )
        disk = host.disk
        driver.seen = lambda: disk.seen
        host.runs(node, machine, driver)
        self.on_process(host, listeners)
        self.tune(host, host.settings or self.settings)

    def _failed(self, host: Host, error: BaseException) -> None:
        """A driver has ended: by damage that it met, or by what must not be."""
        if isinstance(error, ViolationError):
            raise error
        if isinstance(error, LogDamaged):
            self.fail(host, error)
        else:
            raise ViolationError(f"{host.name} failed: {error!r}") from error

    def revive(self, name: str) -> None:
        """Start a node unless it runs already."""
        host = self.hosts[name]
        if not host.node and not host.damage:
            self.start(name)

    def fail(self, host: Host, damage: Exception) -> None:
        """A server found its disk damaged: it says what, and is down until an operator helps."""
        text = str(damage)
        expect(bool(host.disk.flipped), f"{host.name} found damage that is none: {text}")
        expect("damage" in text or "snapshot" in text, f"damage is not named: {text}")
        host.damage = text
        self.note(f"{host.name} stops: {text}")
        for kind in sorted(host.disk.flipped):
            running = "while it ran" if host.node else "at a start"
            self.coverage.met(f"damaged {kind} found {running}")
        if host.node:
            self.crash(host.name, lucky=False)

    def crash(self, name: str, *, lucky: bool = True) -> None:
        """Stop a node at once; its unsynced writes are lost, or only a part if it is lucky.

        Luck is also what is left of the write under way, which then is torn.
        """
        host = self.host(name)
        disk = host.disk
        host.node = None
        host.down_since = self.now
        under_way = lucky and disk.busy and not disk.full and disk.queue
        kept = host.rng.randint(0, len(disk.queue) - 1) if under_way else 0
        self.coverage.crash(disk, kept)
        # A generator of its own: how many sectors a write has must not change what the host does.
        torn = Random(f"torn {self.seed} {name} {host.incarnation}") if lucky else None
        disk.crash(kept, torn)
        for other in self.hosts.values():
            if other.node and host.rng.random() < self.weather.reset:
                self.for_host(other, 0.001, partial(other.driver.peer_gone, name))

    def retire(self, host: Host, why: str) -> None:
        """A server has heard that its disk is an old copy: it stops until an operator helps."""
        self.note(f"{host.name} stops: {why}")
        host.damage = why
        if host.node:
            self.crash(host.name, lucky=False)
        self.on_retire(host)

    def copy(self, host: Host, disk: SimDisk, greets_after_s: float, at: str = "") -> Host:
        """A second body of a host is started, elsewhere, on this copy of its disk."""
        name = f"{host.name}+"
        former = self.bodies.get(name)
        body = Host(name, Random(f"{self.seed} {name}"), disk, of=host.name, at=at or f"{name}:1")
        body.incarnation = former.incarnation if former else 0
        body.clock_rate, body.clock_offset = host.clock_rate, host.clock_offset
        body.settings = host.settings
        disk.newer = host.disk
        self.bodies[name] = body
        self.start(name, greets_after_s)
        return body

    def roll_back(self, host: Host, disk: SimDisk, greets_after_s: float) -> None:
        """A stopped host is started on this earlier image of its disk."""
        assert not host.node, f"{host.name} runs"
        disk.newer, host.disk = host.disk, disk
        self.start(host.name, greets_after_s)

    def is_parted(self, name: str) -> bool:
        """True if some link of this host is cut."""
        return any(name in pair for pair in self.network.blocked)

    def scrub(self, host: Host) -> None:
        """Look at all that lies in the log of a running server, as each does all the time."""
        scrub = LogScrub(host.disk.store)
        try:
            while not scrub.rounds:
                scrub.piece()
        except LogDamaged as damage:
            self.fail(host, damage)
            return
        overlooked = host.disk.flipped - {SPACE, "snapshot"}
        expect(not overlooked, f"{host.name} looked at its log and overlooked damage: {overlooked}")

    def wipe(self, name: str) -> None:
        """An empty disk takes the place of a stopped server's."""
        host = self.hosts[name]
        assert not host.node, f"{name} runs"
        generation = host.disk.generation + 1
        host.disk = SimDisk(name, generation=generation, met=self.coverage.met)
        host.disk.start = host.starts  # in a server the new folder gets a new ID instead
        host.damage = host.mark = ""

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process for a while; its clock goes on."""
        host = self.hosts[name]
        host.paused_until = max(host.paused_until, self.now + seconds)

    def suspend(self, name: str, seconds: float) -> None:
        """A machine sleeps: its clock runs on, what counts the delays of its timers does not.

        Nothing if it stands still already.
        """
        host = self.hosts[name]
        if host.paused_until > self.now:
            return
        self.pause(name, seconds)
        if host.node:
            host.timers.fell_behind(seconds * host.clock_rate)

    def freeze(self, name: str, seconds: float) -> None:
        """A hypervisor stops a machine together with its clock, unless it stands still already."""
        host = self.hosts[name]
        if host.paused_until > self.now:
            return
        self.pause(name, seconds)
        host.clock_offset -= seconds * host.clock_rate
        lease_s = max(host.promised_s, self.settings.election_timeout_s)
        host.lease_from_the_past_until = self.now + seconds + lease_s
        if host.node:
            host.timers.jumped()

    def jump(self, name: str, seconds: float) -> None:
        """A clock jumps forward."""
        host = self.hosts[name]
        host.clock_offset += seconds
        if host.node:
            host.timers.jumped()

    def tune(self, host: Host, settings: Settings) -> None:
        """Give a host other settings: now if it runs, and whenever it starts."""
        host.settings = settings
        if host.node:
            host.node.settings = settings
            host.promised_s = max(host.promised_s, settings.election_timeout_s)

    # -- steps ------------------------------------------------------------------------------

    def step(self, host: Host, event: Any) -> None:
        """Give a node an event as it is, and let its driver do what it wants."""
        try:
            host.driver.step(event)
        except BadFrame as error:
            raise ViolationError(f"{host.name} refuses: {error!r}") from error

    def ask(self, host: Host, call: Callable[[RaftDriver], None]) -> None:
        """A client calls a driver: at once, or when its process goes on."""
        if host.paused_until > self.now:
            wait = host.paused_until - self.now
            self.for_host(host, wait, lambda: call(host.driver))
        else:
            call(host.driver)

    # -- clients ----------------------------------------------------------------------------

    def handle(self, host: Host, kind: str, data: bytes = b"") -> Handle:
        """A new thing to wait for at `host`."""
        name = f"{kind[0]}{len(self.handles) + 1}"
        text = data or name.encode()
        floor = self.checker_of(host).floor
        handle = Handle(name, kind, host.name, host.incarnation, floor, text)
        handle.settle = partial(self._settle, host)
        self.handles.append(handle)
        return handle

    def _settle(self, host: Host, handle: Handle, result: Any, error: BaseException | None) -> None:
        """What a driver answers."""
        checker = self.checker_of(host)
        if error is not None:
            handle.error = error
            checker.ended(handle, str(error))
        elif handle.kind == "read":
            checker.read_done(handle, host.machine)
        elif handle.kind in {"write", "change"}:
            handle.index = result[0]
            checker.write_done(handle, *result)
        else:
            checker.ended(handle, f"done: {result} leads")

    def propose(self, host: Host, count: int = 1, size: int = 0) -> list[Handle]:
        """Ask `host` for `count` writes in one batch, of at least `size` bytes each."""
        handles = [self.handle(host, "write") for _ in range(count)]
        for handle in handles:
            handle.data = handle.data.ljust(size)
        self.ask_write(host, *handles)
        return handles

    def ask_write(self, host: Host, *handles: Handle) -> None:
        """Ask for writes of these handles' data."""

        def ask(driver: RaftDriver) -> None:
            for handle in handles:
                driver.propose(handle, handle.data)

        self.ask(host, ask)

    def propose_commands(self, host: Host, commands: list[bytes]) -> list[Handle]:
        """Ask `host` for these writes in one batch."""
        handles = [self.handle(host, "write", command) for command in commands]
        self.ask_write(host, *handles)
        return handles

    def read(self, host: Host) -> Handle:
        """Ask `host` for a linearizable read."""
        handle = self.handle(host, "read")
        self.ask_read(host, handle)
        return handle

    def ask_read(self, host: Host, handle: Handle) -> None:
        """Ask for a read of the register that the handle names."""

        def ask(driver: RaftDriver) -> None:
            if driver.lease_valid():
                self.coverage.met("read served under the lease")
                handle.by_lease = host.live.settings.lease_reads
                if handle.by_lease and host.lease_from_the_past_until > self.now:
                    handle.by_stopped_clock = True
                    self.coverage.met("read answered by a clock that had stood still")
            driver.read(handle)

        self.ask(host, ask)

    def change(self, host: Host, change: Change, *, force: bool = False) -> Handle:
        """Ask `host` for a membership change."""
        handle = self.handle(host, "change")
        handle.asked_at, handle.forced = self.now, force
        self.ask(host, lambda driver: driver.change(handle, change, force=force))
        return handle

    def transfer(self, host: Host, target: str = "") -> Handle:
        """Ask `host` to hand leadership over."""
        handle = self.handle(host, "transfer")
        self.ask(host, lambda driver: driver.transfer(handle, target))
        return handle

    def found(self, host: Host, members: Configuration) -> Handle:
        """Ask an empty server to found the cluster of `members`."""
        handle = self.handle(host, "bootstrap")
        self.ask(host, lambda driver: driver.bootstrap(handle, members))
        return handle

    # -- telling ----------------------------------------------------------------------------

    def story(self) -> str:
        """The last events, one line each with what followed from it."""
        lines = []
        for time, name, event, effects in self.timeline:
            if effects and all(type(e) is fx.Rejected for e in effects):
                continue
            text = event if isinstance(event, str) else event_text(event)
            lines.append(f"{time:9.4f} {name}  {text}")
            lines += [f"{'':12}  -> {effect_text(effect)}" for effect in effects]
        return "\n".join(lines)
