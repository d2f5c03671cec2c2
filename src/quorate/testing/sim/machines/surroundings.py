"""The ports of the production driver on a simulated host.

The driver (`quorate.runtime.raft`) is the one that servers run. Below it are ports, and here they
are on virtual time: the clock of a host, its disk, its place in the network, its snapshots. The
node is watched: every step is counted, traced and checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from typing import Any, Final, get_args

from quorate.raft import Node, Server
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.values.messages import AnyRequest, AnyResponse, InstallSnapshotRequest
from quorate.runtime.ports import SnapshotPoint, Write
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.network import Network
from quorate.testing.sim.machines.storage import Storage
from quorate.testing.sim.plans.stage import Stage

_NAMES = {kind: kind.__name__.encode() for kind in get_args(ev.Event)}
_ROLES = {role: role.value.encode() for role in fx.Role}
_ROUNDING_S: Final = 1e-6  # a host's clock is not earlier than meant when a timer fires


class WatchedNode(Node):
    """A node whose every step is seen by the world, before anything of it is carried out."""

    def __init__(self, world: Stage, host: Host, **more: Any) -> None:
        self._world = world
        self._host = host
        self._name = host.name.encode()
        super().__init__(**more)

    def step(self, event: ev.Event, now: float) -> list[fx.Effect]:
        """As the node does; raises ViolationError for what must not be."""
        world, host = self._world, self._host
        world.events += 1
        effects: list[Any] = []
        world.timeline.append((world.now, host.name, event, effects))
        before, checker = world.coverage.before(self), world.checker_of(host)
        effects += super().step(event, now)
        if world.watch:
            world.watch(host, event, effects)
        for effect in effects:
            if type(effect) is fx.Persist:
                checker.persisting(host, effect)
                checker.weighed(host, effect, world.hosts)
            elif type(effect) is fx.Apply:
                checker.applying(host, effect)
        checker.after_step(host, world.hosts)
        world.coverage.after(world, host, event, effects, before)
        line = b"%.6f%b%b%d%b%d,%d,%d" % (
            world.now,
            self._name,
            _NAMES[type(event)],
            self.term,
            _ROLES[self.role],
            self.log.last_index,
            self.commit_index,
            len(effects),
        )
        world.trace = zlib.crc32(line, world.trace)
        return effects


class SimTimer:
    """A call at a time of a host's clock."""

    __slots__ = ("_action", "_args", "_clock", "due")

    def __init__(
        self, clock: SimClock, due: float, action: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self.due = due
        self._clock = clock
        self._action: Callable[..., object] | None = action
        self._args = args

    def cancel(self) -> None:
        """It is not made any more."""
        self._action = None
        self._clock.timers.pop(self, None)

    def fire(self) -> None:
        """Make the call, or wait on if the clock has been set since."""
        if self._action is None:
            return
        if self._clock.now() < self.due:
            self._clock.plan(self)
            return
        action = self._action
        self.cancel()
        action(*self._args)


class SimClock:
    """The clock of one process, with the speed and the jumps of its host."""

    def __init__(self, world: Stage, storage: Storage, host: Host) -> None:
        self.timers: dict[SimTimer, None] = {}
        self._world = world
        self._storage = storage
        self._host = host
        self._soon_at = 0.0

    def now(self) -> float:
        """The time that the host's clock shows."""
        return self._host.clock(self._world.now)

    def call_later(self, delay_s: float, action: Callable[..., object], *args: Any) -> SimTimer:
        """Call after so long by the host's clock."""
        timer = SimTimer(self, self.now() + delay_s, action, args)
        self.timers[timer] = None
        self.plan(timer)
        return timer

    def plan(self, timer: SimTimer) -> None:
        """Look at the timer when it should be due."""
        due = max(self._host.world_time(timer.due), self._world.now)
        self._world.for_host(self._host, due + _ROUNDING_S - self._world.now, timer.fire)

    def jumped(self) -> None:
        """The host's clock was set: everything is due at another time of the world."""
        for timer in list(self.timers):
            self.plan(timer)

    def fell_behind(self, seconds: float) -> None:
        """The clock that counts delays stood still for so long, by the host's clock."""
        for timer in self.timers:
            timer.due += seconds

    def call_soon(self, action: Callable[..., object], *args: Any) -> None:
        """Call when the process comes to it, in order; it is as busy as the weather says."""
        world = self._world
        self._soon_at = max(self._soon_at, world.now + self._storage.turn_s(self._host))
        world.for_host(self._host, self._soon_at - world.now, lambda: action(*args))


class SimDiskPort:
    """The disk of a host, as the driver sees it."""

    room = "no room"

    def __init__(self, storage: Storage, host: Host) -> None:
        self._storage = storage
        self._host = host

    def submit(self, persist: fx.Persist) -> None:
        """Write it when the disk comes to it."""
        self._host.disk.queue.append(persist)
        self._storage.work_disk(self._host)


class SimNetworkPort:
    """A host's place in the network."""

    def __init__(self, network: Network, host: Host) -> None:
        self._network = network
        self._host = host

    def send(self, to: Server, rpc_id: int, request: AnyRequest) -> None:
        """Send a request."""
        self._network.send(self._host, to, rpc_id, request)

    def reply(self, reply_to: Any, response: AnyResponse) -> None:
        """Answer one."""
        self._network.reply(self._host, reply_to, response)

    def greet(self, to: Server) -> None:
        """Ask what that member has against the start of this host's process."""
        self._network.greet(self._host, to)

    def members(self, server_ids: Collection[str]) -> None:
        """There are no connections to end."""

    def close(self) -> None:
        """The world stops the host."""


class SimSnapshotsPort:
    """The snapshots of a host."""

    def __init__(self, storage: Storage, network: Network, host: Host) -> None:
        self._storage, self._network = storage, network
        self._host = host

    def take(
        self,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """Store one of the own state."""
        self._storage.store_snapshot(self._host, point, write_out, done)

    def send(self, effect: fx.SendSnapshot, header: dict[str, Any]) -> None:
        """Send the newest."""
        self._network.send_snapshot(self._host, effect, header)

    def receive(
        self, reply_to: Any, request: InstallSnapshotRequest, done: Callable[[bool], None]
    ) -> None:
        """Store one of a leader."""
        self._storage.receive_snapshot(self._host, reply_to, request, done)

    def restore(self, index: int, term: int, done: Callable[[Any], None]) -> None:
        """Read a stored one back."""
        self._storage.open_snapshot(self._host, index, term, done)
