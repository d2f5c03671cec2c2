"""A simulated cluster: real nodes, virtual time, one seed, and every fault we can think of.

The world does what a runtime does with effects, but with a network that delays, loses, doubles
and reorders, disks that are slow, stuck, full or forgetful, and clocks that drift. Nothing in it
looks at the wall clock, and every choice comes from one generator, so a seed replays.
"""

from __future__ import annotations

import heapq
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from printers import effect_text, event_text
from sim_checks import Checker, Handle, ViolationError, expect
from sim_disk import SimDisk, SimMachine, Snapshot

from quorate.raft import Node, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.configuration import Change, Configuration, Server
from quorate.raft.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesResponse,
    Entry,
    EntryKind,
    HardState,
    InstallSnapshotRequest,
)
from quorate.wire import membership as codec

TIMELINE_EVENTS = 60


@dataclass
class Weather:
    """How bad network, disks and machines are now. Times in seconds of the world."""

    delay: tuple[float, float] = (0.001, 0.002)
    slow: float = 0.0  # probability of a message that takes up to `slow_delay`
    slow_delay: float = 1.5
    loss: float = 0.0
    double: float = 0.0
    timeout: tuple[float, float] = (0.3, 1.0)  # until a lost request is reported as failed
    disk: tuple[float, float] = (0.0005, 0.001)
    stall: float = 0.0  # probability of a disk write that takes up to `stall_delay`
    stall_delay: float = 2.0
    apply: tuple[float, float] = (0.0, 0.0)
    broken_snapshot: float = 0.0
    crash_after_install: float = 0.0  # once the body is stored, before the log is replaced
    reset: float = 0.5  # probability that a peer sees at once that a process went


@dataclass
class Host:
    """One machine: what survives a crash, and the node while it runs."""

    name: str
    clock_rate: float = 1.0
    clock_offset: float = 0.0
    disk: SimDisk = field(default_factory=SimDisk)
    machine: SimMachine = field(default_factory=SimMachine)
    node: Node | None = None
    incarnation: int = 0
    jobs: deque[Any] = field(default_factory=deque)  # for the state machine
    working: bool = False
    tick_at: float = float("inf")
    disk_delay: tuple[float, float] | None = None  # instead of the weather's

    @property
    def live(self) -> Node:
        assert self.node is not None, f"{self.name} is down"
        return self.node

    @property
    def address(self) -> str:
        return f"{self.name}:1"

    def clock(self, now: float) -> float:
        """What this machine's clock shows at the world's `now`."""
        return now * self.clock_rate + self.clock_offset

    def world_time(self, clock: float) -> float:
        """The reverse of `clock`."""
        return (clock - self.clock_offset) / self.clock_rate


@dataclass
class Call:
    """A request on its way, and the token by which it is answered."""

    origin: str
    incarnation: int
    rpc_id: int
    target: str
    request: AnyRequest
    snapshot: Snapshot | None = None
    settled: bool = False
    on_answer: Callable[[AnyResponse], object] | None = None  # for messages from nowhere

    def __str__(self) -> str:
        return f"{self.origin}#{self.rpc_id}"


class World:
    """See the module."""

    def __init__(self, seed: Any, names: str, settings: Settings, members: Configuration) -> None:
        self.rng = Random(f"quorate {seed}")
        self.settings = settings
        self.now = 0.0
        self.weather = Weather()
        self.events = 0
        self.trace = 0
        self.hosts = {name: Host(name) for name in names}
        self.blocked: dict[tuple[str, str], bool] = {}  # (from, to)
        self.lag: dict[tuple[str, str], float] = {}  # (from, to): seconds more
        self.checker = Checker()
        self.handles: list[Handle] = []
        self.timeline: deque[tuple[float, str, Any, Any]] = deque(maxlen=TIMELINE_EVENTS)
        self.last_index_hints = ""  # this host hints as other makes do
        self.watch: Callable[[Host, Any, list[Any]], None] | None = None
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.first = members
        self._bootstrap(members)

    def _bootstrap(self, members: Configuration) -> None:
        data = codec.encode_configuration(members)
        for server in members.servers:
            disk = self.hosts[server.id].disk
            disk.log = [Entry(1, 1, EntryKind.CONFIGURATION, data)]
            disk.hard_state = HardState(1)
        self.checker.entries[1, 1] = (Entry(1, 1, EntryKind.CONFIGURATION, data).value(), 0)

    # -- time -------------------------------------------------------------------------------

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do `action` after `delay` seconds."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, action))

    def run_until(self, end: float) -> None:
        """Let everything happen that is due up to `end`."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = max(self.now, end)

    def _between(self, bounds: tuple[float, float]) -> float:
        return self.rng.uniform(*bounds)

    # -- machines ---------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a node from what its disk holds."""
        host = self.hosts[name]
        host.incarnation += 1
        stored = host.disk.snapshot
        host.machine = SimMachine()
        point = None
        if stored:
            host.machine.restore(stored)
            point = (stored.index, stored.term, stored.configuration, stored.configuration_index)
        host.jobs.clear()
        host.working = False
        host.tick_at = float("inf")
        host.node = Node(
            server_id=name,
            address=host.address,
            settings=self.settings,
            reader=host.disk,
            hard_state=host.disk.hard_state,
            codec=codec,
            rng=Random(self.rng.random()),
            now=host.clock(self.now),
            snapshot=point,
        )
        if host.disk.full:
            self.step(host, ev.StorageState(full=True))
        self._plan_tick(host)

    def crash(self, name: str, *, lucky: bool = True) -> None:
        """Stop a node at once; its unsynced writes are lost, or only a part if it is lucky."""
        host = self.hosts[name]
        host.node = None
        lucky = lucky and host.disk.busy and not host.disk.full
        host.disk.crash(self.rng.randint(0, len(host.disk.queue)) if lucky else 0)
        for other in self.hosts.values():
            if other.node and self.rng.random() < self.weather.reset:
                self._later_step(other, 0.001, ev.LeaderUnreachable(name))

    def running(self) -> list[Host]:
        """The hosts whose node runs."""
        return [host for host in self.hosts.values() if host.node]

    def leader(self) -> Host | None:
        """The leader of the highest term, if any."""
        leaders = [host for host in self.running() if host.live.leader]
        return max(leaders, key=lambda host: host.live.term, default=None)

    # -- steps ------------------------------------------------------------------------------

    def step(self, host: Host, event: Any) -> None:
        """Give a node an event, check everything, do what it wants."""
        self.events += 1
        node = host.live
        effects: list[Any] = []
        self.timeline.append((self.now, host.name, event, effects))
        try:
            effects += node.step(event, host.clock(self.now))
            if self.watch:
                self.watch(host, event, effects)
            for effect in effects:
                if isinstance(effect, fx.Persist):
                    self.checker.persisting(host, effect)
            self.checker.after_step(host, self.hosts)
            for effect in effects:
                self._perform(host, effect)
        except ViolationError:
            raise
        except Exception as error:
            raise ViolationError(f"{host.name} failed: {error!r}") from error
        line = (
            f"{self.now:.6f} {host.name} {type(event).__name__} {node.term} {node.role.value} "
            f"{node.log.last_index} {node.commit_index} {len(effects)}"
        )
        self.trace = zlib.crc32(line.encode(), self.trace)
        self._plan_tick(host)

    def _later_step(self, host: Host, delay: float, event: Any) -> None:
        incarnation = host.incarnation

        def arrive() -> None:
            if host.node and host.incarnation == incarnation:
                self.step(host, event)

        self.later(delay, arrive)

    def _plan_tick(self, host: Host) -> None:
        due = max(host.world_time(host.live.deadline()), self.now) + 1e-6
        if due >= host.tick_at:
            return  # the tick that is planned looks again
        host.tick_at = due
        incarnation = host.incarnation

        def tick() -> None:
            if host.tick_at == due:
                host.tick_at = float("inf")
            if not host.node or host.incarnation != incarnation:
                return
            if host.clock(self.now) >= host.live.deadline():
                self.step(host, ev.Tick())
            else:
                self._plan_tick(host)

        self.later(due - self.now, tick)

    def _perform(self, host: Host, effect: Any) -> None:
        match effect:
            case fx.Persist():
                host.disk.queue.append(effect)
                self._work_disk(host)
            case fx.Send():
                self._send(host, effect.to, effect.rpc_id, effect.request)
            case fx.SendSnapshot():
                self._send_snapshot(host, effect)
            case fx.Reply():
                self._reply(host, effect.reply_to, effect.response)
            case fx.ReceiveSnapshot():
                self._receive_snapshot(host, effect)
            case fx.Apply() | fx.RestoreSnapshot():
                host.jobs.append(effect)
                self._work_machine(host)
            case fx.ReadReady():
                for handle in effect.handles:
                    self.checker.read_done(handle, host.machine.index)
            case fx.Done():
                self.checker.ended(effect.handle, f"done: {effect.leader_id} leads")
            case fx.Rejected():
                for handle in effect.handles:
                    self.checker.ended(handle, effect.reason.value)

    # -- network ----------------------------------------------------------------------------

    def _delay(self, origin: str, target: str) -> float:
        lag = self.lag.get((origin, target), 0.0)
        if self.weather.slow and self.rng.random() < self.weather.slow:
            return lag + self.rng.uniform(0, self.weather.slow_delay)
        return lag + self._between(self.weather.delay)

    def _lost(self, origin: str, target: str) -> bool:
        if self.blocked.get((origin, target)):
            return True
        return self.weather.loss > 0 and self.rng.random() < self.weather.loss

    def _send(self, host: Host, to: Server, rpc_id: int, request: AnyRequest, **extra: Any) -> None:
        self.checker.sending(host, request)
        call = Call(host.name, host.incarnation, rpc_id, to.id, request, **extra)
        patience = self._between(self.weather.timeout)
        patience += self.lag.get((host.name, to.id), 0.0) + self.lag.get((to.id, host.name), 0.0)
        self.later(patience, lambda: self._fail(call, "timeout"))
        if to.id not in self.hosts or self._lost(host.name, to.id):
            return
        self.later(self._delay(host.name, to.id), lambda: self._arrive(call))
        if self.weather.double and self.rng.random() < self.weather.double:
            self.later(self._delay(host.name, to.id), lambda: self._arrive(call))

    def _send_snapshot(self, host: Host, effect: fx.SendSnapshot) -> None:
        stored = host.disk.snapshot
        assert stored is not None, "asked to send a snapshot that is not there"
        expect(stored.index >= effect.index, "the snapshot to send is older than announced")
        request = InstallSnapshotRequest(
            term=effect.term,
            sender_id=host.name,
            sender_address=host.address,
            leader=host.address,
            last_log_index=stored.index,
            last_log_term=stored.term,
            configuration=codec.encode_configuration(stored.configuration),
            configuration_index=stored.configuration_index,
        )
        self._send(host, effect.to, effect.rpc_id, request, snapshot=stored)

    def _arrive(self, call: Call) -> None:
        target = self.hosts[call.target]
        if self.blocked.get((call.origin, call.target)):
            return
        if not target.node:
            self.later(self._between(self.weather.delay), lambda: self._fail(call, "refused"))
            return
        self.step(target, ev.RequestReceived(call, call.request))

    def _fail(self, call: Call, reason: str) -> None:
        origin = self.hosts[call.origin]
        if call.settled or not origin.node or origin.incarnation != call.incarnation:
            return
        call.settled = True
        self.step(origin, ev.RequestFailed(call.target, call.rpc_id, reason))

    def _reply(self, host: Host, call: Call, response: AnyResponse) -> None:
        self.checker.replying(host, call.request, response)
        if call.on_answer:
            call.on_answer(response)
            return
        if self._lost(host.name, call.origin):
            return
        refused = isinstance(response, AppendEntriesResponse) and not response.success
        if refused and host.name == self.last_index_hints:
            response = msgspec.structs.replace(response, last_log=host.live.log.last_index)
        self.later(self._delay(host.name, call.origin), lambda: self._answer(call, response))

    def _answer(self, call: Call, response: AnyResponse) -> None:
        origin = self.hosts[call.origin]
        if not origin.node or origin.incarnation != call.incarnation or call.settled:
            return
        # A doubled request is answered twice, and both answers may arrive.
        call.settled = not self.weather.double
        event: Any = ev.ResponseReceived(call.target, call.rpc_id, response)
        if call.snapshot:
            event = ev.SnapshotDelivered(call.target, call.rpc_id, call.snapshot.index, response)
        self.step(origin, event)

    def _receive_snapshot(self, host: Host, effect: fx.ReceiveSnapshot) -> None:
        snapshot = effect.reply_to.snapshot
        incarnation = host.incarnation
        ok = self.rng.random() >= self.weather.broken_snapshot

        def stored() -> None:
            if not host.node or host.incarnation != incarnation:
                return
            if ok and not host.disk.full:
                host.disk.store_snapshot(snapshot)
                if self.rng.random() < self.weather.crash_after_install:
                    self.crash(host.name)
                    self.later(0.2, lambda: None if host.node else self.start(host.name))
                    return
            done = ok and not host.disk.full
            self.step(host, ev.SnapshotReceived(effect.reply_to, effect.request, done))

        self.later(self._disk_delay(host) * 4, stored)

    # -- disk -------------------------------------------------------------------------------

    def _disk_delay(self, host: Host) -> float:
        if self.weather.stall and self.rng.random() < self.weather.stall:
            return self.rng.uniform(0, self.weather.stall_delay)
        return self._between(host.disk_delay or self.weather.disk)

    def _work_disk(self, host: Host) -> None:
        disk = host.disk
        if disk.busy or not disk.queue:
            return
        disk.busy = True
        incarnation, count = host.incarnation, len(disk.queue)

        def done() -> None:
            if host.node and host.incarnation == incarnation:
                self._written(host, count)

        self.later(self._disk_delay(host), done)

    def _written(self, host: Host, count: int) -> None:
        disk = host.disk
        if disk.full:
            disk.waiting = True
            self.step(host, ev.StorageState(full=True))
            return  # still busy: goes on when there is room
        batch, disk.queue = disk.queue[:count], disk.queue[count:]
        try:
            for persist in batch:
                disk.write(persist)
                for effect in persist.then:
                    self._perform(host, effect)
        except AssertionError as error:
            raise ViolationError(f"{host.name}: {error}") from error
        disk.busy = False
        self.step(host, ev.Persisted(batch[-1].sequence))
        self._work_disk(host)

    def set_full(self, name: str, full: bool) -> None:
        """Take the room on a disk away, or give it back."""
        host = self.hosts[name]
        if host.disk.full == full:
            return
        host.disk.full = full
        if host.node:
            self.step(host, ev.StorageState(full=full))
            if host.disk.waiting:
                host.disk.waiting = host.disk.busy = False
                self._work_disk(host)

    def take_snapshot(self, name: str) -> bool:
        """Begin a snapshot of a node's state machine; False if there is nothing to take."""
        host = self.hosts[name]
        point = host.live.snapshot_point()
        if point is None or point[0] != host.machine.index:
            return False
        snapshot = Snapshot(*point, host.machine.digest)
        incarnation = host.incarnation

        def stored() -> None:
            if host.node and host.incarnation == incarnation and not host.disk.full:
                host.disk.store_snapshot(snapshot)
                self.step(host, ev.SnapshotStored(snapshot.index, snapshot.term))

        self.later(self._disk_delay(host) * 2, stored)
        return True

    # -- state machine ----------------------------------------------------------------------

    def _work_machine(self, host: Host) -> None:
        if host.working or not host.jobs:
            return
        host.working = True
        incarnation = host.incarnation

        def work() -> None:
            if host.node and host.incarnation == incarnation:
                self._do_job(host, host.jobs.popleft())

        self.later(self._between(self.weather.apply), work)

    def _do_job(self, host: Host, job: fx.Apply | fx.RestoreSnapshot) -> None:
        machine = host.machine
        if isinstance(job, fx.RestoreSnapshot):
            expect(job.index in host.disk.snapshots, "no such snapshot to restore")
            machine.restore(host.disk.snapshots[job.index])
            known = self.checker.digests.get(machine.index)
            expect(known == machine.digest, f"restored another state at {machine.index}")
        else:
            for entry in job.entries:
                expect(entry.index == machine.index + 1, "applied out of order")
                machine.apply(entry)
                self.checker.applied(machine, entry)
                handle = job.handles.get(entry.index)
                if handle is not None:
                    self.checker.write_done(handle, entry)
        host.working = False
        self._later_step(host, self._between(self.weather.apply), ev.Applied(machine.index))
        self._work_machine(host)

    # -- clients ----------------------------------------------------------------------------

    def handle(self, host: Host, kind: str, data: bytes = b"") -> Handle:
        """A new thing to wait for at `host`."""
        name = f"{kind[0]}{len(self.handles) + 1}"
        text = data or name.encode()
        floor = self.checker.floor
        handle = Handle(name, kind, host.name, host.incarnation, floor, text)
        self.handles.append(handle)
        return handle

    def propose(self, host: Host, count: int = 1) -> list[Handle]:
        """Ask `host` for `count` writes in one batch."""
        handles = [self.handle(host, "write") for _ in range(count)]
        self.step(host, ev.Propose(tuple((h, h.data) for h in handles)))
        return handles

    def read(self, host: Host) -> Handle:
        """Ask `host` for a linearizable read."""
        handle = self.handle(host, "read")
        self.step(host, ev.ReadRequested(handle))
        return handle

    def change(self, host: Host, change: Change) -> Handle:
        """Ask `host` for a membership change."""
        handle = self.handle(host, "change")
        self.step(host, ev.ChangeRequested(handle, change))
        return handle

    def transfer(self, host: Host, target: str = "") -> Handle:
        """Ask `host` to hand leadership over."""
        handle = self.handle(host, "transfer")
        self.step(host, ev.TransferRequested(handle, target))
        return handle

    # -- telling ----------------------------------------------------------------------------

    def story(self) -> str:
        """The last events, one line each with what followed from it."""
        lines = []
        for time, name, event, effects in self.timeline:
            lines.append(f"{time:9.4f} {name}  {event_text(event)}")
            lines += [f"{'':12}  -> {effect_text(effect)}" for effect in effects]
        return "\n".join(lines)
