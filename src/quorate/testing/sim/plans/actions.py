"""The faults: each kind of action, done to the world as it is when the time has come."""

from __future__ import annotations

from functools import partial
from random import Random

from quorate.testing.sim.machines.hosts import AtWrite, Host
from quorate.testing.sim.plans.host_actions import HostActions
from quorate.testing.sim.plans.member_actions import MemberActions
from quorate.testing.sim.plans.plan import Action, Plan
from quorate.testing.sim.world import World

FLIP_VOTERS_MIN = 3
_BULK_BYTES = 2000
_IN_THE_MIDST = 0.2  # of the snapshots are asked for while entries are being applied


class Actions(HostActions, MemberActions):
    """Does the actions of a plan until `plan.duration`; `done` tells what each one came to."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.rng = Random(0)
        self.done: list[str] = []
        self._jumped: dict[str, float] = {}

    def schedule(self) -> None:
        """Plan them all."""
        for action in self.plan.actions:
            self.world.later(action.at - self.world.now, partial(self._do, action))

    def _do(self, action: Action) -> None:
        self.rng = Random(f"{self.plan.seed} action {action.number}")
        text = getattr(self, f"_{action.kind}")()
        if text:
            self.done.append(f"{action.number:4} {action.at:8.4f} s  {text}")
            self.world.note(text)

    # -- snapshots ---------------------------------------------------------------------------

    def _snapshot(self) -> str:
        running = self.world.running()
        if not running:
            return ""
        host = self.rng.choice(running)
        take = partial(self.world.storage.take_snapshot, host.name)
        if self.rng.random() < _IN_THE_MIDST:
            host.machine.at_apply = take
            return f"{host.name} is asked for a snapshot while it applies its next command"
        return f"{host.name} takes a snapshot at {host.live.applied_index}" if take() else ""

    def _bulk(self) -> str:
        """Many writes in a short time, more than a bounded log takes."""
        leader = self.world.leader()
        if leader is None:
            return ""
        count = self.rng.choice([5, 40])

        def write(left: int) -> None:
            if left and leader.node:
                self.world.propose(leader, 1, _BULK_BYTES)
                self.world.later(0.002, lambda: write(left - 1))

        write(count)
        return f"{leader.name} is asked for {count} writes of {_BULK_BYTES} bytes"

    # -- processes and clocks ---------------------------------------------------------------

    def _crash(self) -> str:
        world, host = self.world, self._someone()
        pause = self.rng.choice([0.001, 0.3, 2.0])
        if host is None:
            return ""
        name = host.name

        def crash() -> None:
            world.crash(name)
            world.later(pause, lambda: world.revive(name))

        when = self.rng.choice(["", "any", "large", "first", "compacting"])
        if not when:
            crash()
            return f"{name} crashes for {pause} s"
        host.at_write = AtWrite(crash, when)
        return f"{name} crashes for {pause} s in its next write ({when})"

    def _blackout(self) -> str:
        world = self.world
        names = [host.name for host in world.running()]
        for name in names:
            world.crash(name)
            world.later(self.rng.uniform(0.01, 0.5), partial(world.revive, name))
        return "all crash"

    def _pause(self) -> str:
        host, seconds = self._someone(), self.rng.choice([0.1, 0.45, 0.8, 3.0])
        if host is None:
            return ""
        self.world.pause(host.name, seconds)
        return f"{host.name} is stopped for {seconds} s"

    def _slow(self) -> str:
        host, lag = self._someone(), self.rng.choice([0.02, 0.1, 0.3])
        if host is None:
            return ""
        host.lag = lag
        seconds = self.rng.choice([1.0, 4.0])

        def recover() -> None:
            host.lag = 0.0

        self.world.later(seconds, recover)
        return f"{host.name} is slow by {lag} s for {seconds} s"

    def _jump(self) -> str:
        world, limit = self.world, self.plan.clocks.jump_s
        host = self._someone()
        seconds = self.rng.choice([limit, limit / 10, limit / 40])
        if host is None or not limit or host.disk.newer is not None:
            return ""
        if self.plan.clocks.lawful and world.now - self._jumped.get(host.name, -9.0) < 1.0:
            return ""  # the promises of one timeout must not be shortened twice
        self._jumped[host.name] = world.now
        world.jump(host.name, seconds)
        world.coverage.met("a leader's clock jumped" if host.live.leader else "a clock jumped")
        return f"the clock of {host.name} jumps by {seconds} s"

    def _tune(self) -> str:
        """A host gets another `raft_multiplier`, now or at its next start."""
        world, rng = self.world, self.rng
        host = self._someone() if rng.random() < 0.5 else rng.choice(list(world.hosts.values()))
        multiplier = rng.choice([1.0, 1.5, 3.0])
        if host is None:
            return ""
        world.tune(host, self.plan.settings.scaled(multiplier))
        world.coverage.met("servers with other settings than the others")
        return f"{host.name} gets times {multiplier} as long"

    # -- disks ------------------------------------------------------------------------------

    def _fill(self) -> str:
        world = self.world
        name = self.rng.choice(list(world.hosts))
        seconds = self.rng.choice([0.2, 2.0])
        leader = world.leader()
        if leader and self.rng.random() < 0.5:
            name = leader.name
        world.storage.set_full(name, full=True)
        world.later(seconds, lambda: world.storage.set_full(name, full=False))
        return f"the disk of {name} is full for {seconds} s"

    def _stick(self) -> str:
        host = self._someone()
        seconds = self.rng.choice([0.3, 0.8, 2.0])
        if host is None:
            return ""
        host.disk_delay = (seconds, seconds)

        def recover() -> None:
            host.disk_delay = None

        self.world.later(0.05, recover)  # what begins meanwhile takes that long
        return f"the disk of {host.name} is stuck for {seconds} s"

    def _flip(self) -> str:
        """Damage one disk, unless another one is: no cluster survives the loss of a majority."""
        world = self.world
        leader = world.leader()
        if leader is None or self._hurt():
            return ""
        members = leader.live.configuration
        if len(members.voters()) < FLIP_VOTERS_MIN:
            return ""
        host = world.hosts[self.rng.choice(members.servers).id]
        what = host.disk.flip(self.rng)
        if not what:
            return ""
        if host.node and self.rng.random() < 0.7:
            world.crash(host.name)
            world.later(self.rng.choice([0.001, 0.5]), lambda: world.revive(host.name))
        elif host.node:
            world.for_host(host, 0.1, lambda: self._scrub(host))
        return f"a bit is flipped on {host.name}: {what}"

    def _scrub(self, host: Host) -> None:
        if not self._over():
            self.world.scrub(host)

    # -- network ----------------------------------------------------------------------------

    def _cut(self) -> str:
        world, rng = self.world, self.rng
        names = list(world.hosts)
        first, second = rng.choice(names), rng.choice(names)
        leader = world.leader()
        if leader and rng.random() < 0.5:
            first = leader.name
        way = rng.choice(["one", "both", "apart", "halves"])
        pairs = [(first, second)]
        text = f"{first} -> {second} is cut"
        if way == "both":
            pairs.append((second, first))
            text = f"{first} <-> {second} is cut"
        if way == "apart":
            pairs = [(first, n) for n in names] + [(n, first) for n in names]
            text = f"{first} is cut off"
        if way == "halves":
            side = [n for n in names if rng.random() < 0.5]
            others = [n for n in names if n not in side]
            pairs = [p for m in side for n in others for p in ((m, n), (n, m))]
            text = f"{' '.join(side) or 'nobody'} | {' '.join(others) or 'nobody'} are parted"
        for pair in pairs:
            world.network.blocked[pair] = True

        def heal() -> None:
            for pair in pairs:
                world.network.blocked.pop(pair, None)

        seconds = rng.choice([0.1, 0.7, 3.0])
        world.later(seconds, heal)
        return f"{text} for {seconds} s"

    def _strand(self) -> str:
        """The leader hears answers late, and some or all no longer hear the leader.

        That is when leases, transfers and restarts could deceive it: ask it all the time.
        """
        world, rng = self.world, self.rng
        leader = world.leader()
        if leader is None or world.network.lag:
            return ""
        others = [name for name in world.hosts if name != leader.name]
        late = rng.choice([0.2, 0.3, 0.45, 0.8])
        for name in others:
            world.network.lag[name, leader.name] = late
        deaf = rng.choice([others, others, others[:1]])
        trick = rng.choice(["", "", "transfer", "restart"])
        if trick == "transfer":
            world.transfer(leader)
        if trick == "restart" and others:
            self._restart_often(others[-1])  # one that may hear the leader all the time
        world.later(rng.uniform(0.6, 1.4), lambda: self._deafen(leader.name, deaf))
        for tick in range(150):
            world.later(tick * 0.02, lambda: self._ask_leaders(leader))

        def heal() -> None:
            world.network.lag.clear()
            for name in deaf:
                world.network.blocked.pop((leader.name, name), None)

        world.later(3.0, heal)
        return (
            f"{leader.name} hears all {late} s late, {' '.join(deaf)} hear nothing of it; {trick}"
        )

    def _deafen(self, speaker: str, deaf: list[str]) -> None:
        if not self._over():
            for name in deaf:
                self.world.network.blocked[speaker, name] = True

    def _restart_often(self, name: str) -> None:
        def restart() -> None:
            if self.world.hosts[name].node and not self._over():
                self.world.crash(name)
                self.world.start(name)

        for tick in range(10):
            self.world.later(0.2 * tick, restart)

    def _ask_leaders(self, stranded: Host) -> None:
        if self._over():
            return
        if stranded.node:
            self.world.read(stranded)
        for host in self.world.running():
            if host.live.leader and host is not stranded:
                self.world.read(host)  # of what the stranded one may have answered to others
                self.world.propose(host)
