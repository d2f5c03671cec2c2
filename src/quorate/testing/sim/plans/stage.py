"""The stage of a simulated world: its time, its weather, its machines, and what is noted of them.

All parts of a world stand on it (`network`, `storage`, `meetings`, `surroundings`); `World` puts
them together; so their imports go down.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from quorate.raft import Settings
from quorate.raft.values.identity import Epoch
from quorate.testing.sim.machines.hosts import Host, Weather
from quorate.testing.sim.verdicts.cluster import Checker
from quorate.testing.sim.verdicts.coverage import Coverage

TIMELINE_EVENTS = 80


class Stage(ABC):
    """See the module. `now` is in seconds of the world."""

    def __init__(self, seed: Any, settings: Settings) -> None:
        self.seed = seed
        self.settings = settings
        self.now = 0.0
        self.weather = Weather()
        self.events = 0
        self.trace = 0
        self.coverage = Coverage()
        self.checker = Checker()
        self.epochs: dict[Epoch, Checker] = {}  # of clusters that were recovered by force
        self.hosts: dict[str, Host] = {}
        self.bodies: dict[str, Host] = {}  # second ones, that run on copies of a host's disk
        self.timeline: deque[tuple[float, str, Any, Any]] = deque(maxlen=TIMELINE_EVENTS)
        self.watch: Callable[[Host, Any, list[Any]], None] | None = None
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    # -- time -------------------------------------------------------------------------------

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do `action` after `delay` seconds."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, action))

    def for_host(self, host: Host, delay: float, action: Callable[[], object]) -> None:
        """The same, if the process that runs now still runs then, and when it is not paused."""
        incarnation = host.incarnation

        def begin() -> None:
            if host.node is None or host.incarnation != incarnation:
                return
            if host.paused_until > self.now:
                self.later(host.paused_until - self.now, begin)
                return
            action()

        self.later(delay, begin)

    def run_until(self, end: float) -> None:
        """Let everything happen that is due up to `end`."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end:
            self.now, _, action = pop(heap)
            action()
        self.now = max(self.now, end)

    # -- machines ---------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """The host of that name, be it a second body."""
        return self.hosts.get(name) or self.bodies[name]

    def running(self) -> list[Host]:
        """The hosts whose node runs."""
        return [host for host in self.hosts.values() if host.node]

    def leader(self) -> Host | None:
        """The leader of the highest term, if any."""
        leaders = [host for host in self.running() if host.live.leader]
        return max(leaders, key=lambda host: host.live.term, default=None)

    def checker_of(self, host: Host) -> Checker:
        """The truth of the cluster to which the disk of this host belongs."""
        return self.epochs.get(host.disk.epoch, self.checker) if self.epochs else self.checker

    @abstractmethod
    def crash(self, name: str, *, lucky: bool = True) -> None:
        """Stop a node at once; its unsynced writes are lost, or only a part if it is lucky."""

    @abstractmethod
    def revive(self, name: str) -> None:
        """Start a node unless it runs already."""

    @abstractmethod
    def retire(self, host: Host, why: str) -> None:
        """A server has heard that its disk is an old copy: it stops until an operator helps."""

    @abstractmethod
    def is_parted(self, name: str) -> bool:
        """True if some link of this host is cut."""

    # -- telling ----------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Put what was done to the world into its story."""
        self.timeline.append((self.now, "*", text, ()))
