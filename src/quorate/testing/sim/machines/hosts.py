"""The parts of a simulated world: its weather and its machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from quorate.raft import Node, Settings
from quorate.raft.values.identity import IdentityRecord
from quorate.runtime.raft import RaftDriver
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.machine import SimMachine


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
    turn: tuple[float, float] = (0.0, 0.0)  # until a process comes to what it has put off
    broken_snapshot: float = 0.0
    crash_after_install: float = 0.0  # once the body is stored, before the log is replaced
    reset: float = 0.5  # probability that a peer sees at once that a process went


class Timers(Protocol):
    """The clock of a process."""

    def jumped(self) -> None:
        """The clock of its host was set."""

    def fell_behind(self, seconds: float) -> None:
        """The host's clock has run on without them."""


class AtWrite(NamedTuple):
    """Something to be done in the middle of a write to the disk.

    `which` is the next one of that kind: "any", or what `SimDisk.kind_of_write` says.
    """

    action: Callable[[], None]
    which: str = "any"


@dataclass
class Host:
    """One machine: what survives a crash, and the node while it runs.

    A paused host (its process is stopped) does nothing until `paused_until`, then all that came;
    a slow one gets every message and does every write later by `lag` seconds.
    """

    name: str
    rng: Random
    disk: SimDisk
    clock_rate: float = 1.0
    clock_offset: float = 0.0
    node: Node | None = None
    incarnation: int = 0
    disk_delay: tuple[float, float] | None = None  # instead of the weather's
    paused_until: float = 0.0
    lag: float = 0.0
    down_since: float = float("-inf")  # when its last process ended
    damage: str = ""  # why it will not start
    at_write: AtWrite | None = None
    holds_at: int = 0  # its version understands no command from this index on; 0: it does
    settings: Settings | None = None  # instead of the world's
    at: str = ""  # where it is reached, if that is not its name
    of: str = ""  # the server whose copied disk it runs on, if not its own
    starts: int = 0  # the highest start number that one of its disks has had
    lease_from_the_past_until: float = 0.0  # its clock has stood still: its leases may be too long
    mark: str = ""  # what its disk says of damage to its state that was found
    snapshot_every: int = 0  # entries; 0: only when it is asked to
    greets_after_s: float = 0.001  # how long an answer to a greeting takes
    promised_s: float = 0.0  # the longest promise that its processes have given so far

    def __post_init__(self) -> None:
        self.machine: SimMachine
        self.timers: Timers
        self.driver: RaftDriver

    def runs(self, node: Node, machine: SimMachine, driver: RaftDriver) -> None:
        """A process is started: `node` is set while it runs, the others stay behind."""
        self.node, self.machine, self.driver = node, machine, driver

    @property
    def live(self) -> Node:
        """The node, which runs."""
        assert self.node is not None, f"{self.name} is down"
        return self.node

    @property
    def spoiled(self) -> bool:
        """True if a record in its memory is not what it should be."""
        return self.node is not None and self.machine.spoiled

    @property
    def server_id(self) -> str:
        """The ID in its data folder."""
        return self.of or self.name

    @property
    def record(self) -> IdentityRecord:
        """The record of its process about itself."""
        found = self.live.identity
        assert found is not None, f"{self.name} carries no identity"
        return found

    def is_apart(self, record: IdentityRecord | None) -> bool:
        """True if its process and the sender of this are of two epochs of the cluster.

        A newcomer is of no cluster as yet, and so of no epoch.
        """
        ours = self.record
        if record is None or not (record.cluster_id and ours.cluster_id):
            return False
        return record.epoch != ours.epoch

    @property
    def address(self) -> str:
        """Where it is reached."""
        return self.at or f"{self.name}:1"

    def clock(self, now: float) -> float:
        """The time of this machine's clock at the world's `now`."""
        return now * self.clock_rate + self.clock_offset

    def world_time(self, clock: float) -> float:
        """The reverse of `clock`."""
        return (clock - self.clock_offset) / self.clock_rate
