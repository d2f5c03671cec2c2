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
from random import Random
from typing import Any

from printers import effect_text, event_text
from sim_checks import Checker, Handle, ViolationError
from sim_disk import SimMachine
from sim_hosts import Host, Weather
from sim_network import Network
from sim_storage import Storage

from quorate.raft import Node, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.configuration import Change, Configuration
from quorate.raft.messages import (
    Entry,
    EntryKind,
    HardState,
)
from quorate.wire import membership as codec

TIMELINE_EVENTS = 60


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
        self.network = Network(self)
        self.storage = Storage(self)
        self.checker = Checker()
        self.handles: list[Handle] = []
        self.timeline: deque[tuple[float, str, Any, Any]] = deque(maxlen=TIMELINE_EVENTS)
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

    def between(self, bounds: tuple[float, float]) -> float:
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

    def revive(self, name: str) -> None:
        """Start a node unless somebody else has."""
        if not self.hosts[name].node:
            self.start(name)

    def crash(self, name: str, *, lucky: bool = True) -> None:
        """Stop a node at once; its unsynced writes are lost, or only a part if it is lucky."""
        host = self.hosts[name]
        host.node = None
        lucky = lucky and host.disk.busy and not host.disk.full
        host.disk.crash(self.rng.randint(0, len(host.disk.queue)) if lucky else 0)
        for other in self.hosts.values():
            if other.node and self.rng.random() < self.weather.reset:
                self.later_step(other, 0.001, ev.LeaderUnreachable(name))

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
                self.perform(host, effect)
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

    def later_step(self, host: Host, delay: float, event: Any) -> None:
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

    def perform(self, host: Host, effect: Any) -> None:
        match effect:
            case fx.Persist():
                host.disk.queue.append(effect)
                self.storage.work_disk(host)
            case fx.Send():
                self.network.send(host, effect.to, effect.rpc_id, effect.request)
            case fx.SendSnapshot():
                self.network.send_snapshot(host, effect)
            case fx.Reply():
                self.network.reply(host, effect.reply_to, effect.response)
            case fx.ReceiveSnapshot():
                self.storage.receive_snapshot(host, effect)
            case fx.Apply() | fx.RestoreSnapshot():
                host.jobs.append(effect)
                self.storage.work_machine(host)
            case fx.ReadReady():
                for handle in effect.handles:
                    self.checker.read_done(handle, host.machine.index)
            case fx.Done():
                self.checker.ended(effect.handle, f"done: {effect.leader_id} leads")
            case fx.Rejected():
                for handle in effect.handles:
                    self.checker.ended(handle, effect.reason.value)

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
