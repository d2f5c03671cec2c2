"""One seed, one life of a cluster: first everything may fail, then everything must recover.

Run one by hand: `python tests/raft/simulate.py SEED`, many: `... --from 0 --count 1000`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from random import Random

from sim_checks import ViolationError, expect
from sim_hosts import Host, Weather
from world import World

from quorate.raft import Change, ChangeKind, Configuration, Server, Settings, Suffrage

NAMES = "abcdefg"
RECOVERY_S = 15.0  # virtual, from the end of the faults: thirty election timeouts


@dataclass
class Habits:
    """How often what is done in the first phase, per second of the world."""

    write: float
    read: float
    change: float
    transfer: float
    crash: float
    cut: float
    strand: float
    fill: float
    snapshot: float


class Life:
    """The plan of one seed."""

    def __init__(self, seed: int) -> None:
        rng = Random(f"plan {seed}")
        self.rng = rng
        self.seed = seed
        voters = rng.choice([1, 2, 3, 3, 3, 3, 4, 5, 5])
        nonvoters = rng.choice([0, 0, 0, 1])
        members = [
            Server(n, f"{n}:1", Suffrage.VOTER if i < voters else Suffrage.NONVOTER)
            for i, n in enumerate(NAMES[: voters + nonvoters])
        ]
        spare = rng.choice([0, 1, 2])
        names = NAMES[: min(len(members) + spare, len(NAMES))]
        settings = Settings(
            append_entries_max=rng.choice([1, 3, 8, 512]),
            heartbeats_in_flight_max=rng.choice([4, 64]),
            appends_in_flight_max=rng.choice([1, 2, 4]),
            apply_entries_max=rng.choice([1, 3, 512]),
            trailing_logs=rng.choice([0, 3, 20, 10240]),
        )
        self.world = World(seed, names, settings, Configuration(tuple(members)))
        drift = rng.choice([1.0, 1.1, 1.2])
        for host in self.world.hosts.values():
            host.clock_rate = rng.uniform(1.0, drift)
            host.clock_offset = rng.uniform(0, 1000)
        self.world.weather = self._bad_weather()
        self.habits = Habits(
            write=rng.choice([5, 30]),
            read=rng.choice([5, 30]),
            change=rng.choice([0, 0.5, 2, 8]),
            transfer=rng.choice([0, 0.3, 2]),
            crash=rng.choice([0, 0.3, 1.5]),
            cut=rng.choice([0, 0.5, 2]),
            strand=rng.choice([0, 0.5, 2]),
            fill=rng.choice([0, 0, 0.3]),
            snapshot=rng.choice([0, 1, 5]),
        )
        self.duration = rng.choice([4.0, 8.0, 12.0])

    def _bad_weather(self) -> Weather:
        rng = self.rng
        return Weather(
            delay=(0.0005, rng.choice([0.002, 0.01, 0.06])),
            slow=rng.choice([0, 0, 0.01, 0.05]),
            slow_delay=rng.choice([0.3, 1.5]),
            loss=rng.choice([0, 0, 0.01, 0.1]),
            double=rng.choice([0, 0, 0.05]),
            timeout=rng.choice([(0.05, 0.2), (0.3, 1.0)]),
            disk=(0.0002, rng.choice([0.001, 0.01, 0.08])),
            stall=rng.choice([0, 0, 0.02]),
            apply=(0, rng.choice([0, 0.005, 0.1])),
            broken_snapshot=rng.choice([0, 0.3]),
            crash_after_install=rng.choice([0, 0.3]),
        )

    def run(self) -> World:
        """Both phases. Raises ViolationError."""
        world = self.world
        try:
            for name in world.hosts:
                world.start(name)
            for kind in Habits.__dataclass_fields__:
                self._again(kind)
            world.run_until(self.duration)
            self._heal()
            self._recover()
        except ViolationError as error:
            raise ViolationError(self._report(error)) from error
        return world

    def _report(self, error: ViolationError) -> str:
        world = self.world
        return (
            f"{error}\nseed {self.seed}, event {world.events}, time {world.now:.4f}, "
            f"trace {world.trace:08x}\n{world.story()}\n{error}\n"
            f"replay: python tests/raft/simulate.py {self.seed}"
        )

    # -- phase 1 ----------------------------------------------------------------------------

    def _again(self, kind: str) -> None:
        rate = getattr(self.habits, kind)
        if not rate:
            return

        def act() -> None:
            if self.world.now < self.duration:
                getattr(self, f"_{kind}")()
                self._again(kind)

        self.world.later(self.rng.expovariate(rate), act)

    def _someone(self) -> Host | None:
        """A running host, as a rule one that leads."""
        running = self.world.running()
        if not running:
            return None
        leaders = [host for host in running if host.live.leader]
        if leaders and self.rng.random() < 0.9:
            return self.rng.choice(leaders)
        return self.rng.choice(running)

    def _write(self) -> None:
        if host := self._someone():
            self.world.propose(host, self.rng.choice([1, 1, 2, 7]))

    def _read(self) -> None:
        if host := self._someone():
            self.world.read(host)

    def _change(self) -> None:
        if host := self._someone():
            name = self.rng.choice(list(self.world.hosts))
            kind = self.rng.choice(list(ChangeKind))
            self.world.change(host, Change(kind, name, f"{name}:1"))

    def _transfer(self) -> None:
        if host := self._someone():
            target = self.rng.choice(["", *self.world.hosts])
            self.world.transfer(host, target)

    def _crash(self) -> None:
        world = self.world
        if host := self._someone():
            name = host.name
            world.crash(name)
            pause = self.rng.choice([0.001, 0.3, 2.0])
            world.later(pause, lambda: world.revive(name))

    def _cut(self) -> None:
        world, rng = self.world, self.rng
        names = list(world.hosts)
        first, second = rng.choice(names), rng.choice(names)
        leader = world.leader()
        if leader and rng.random() < 0.5:
            first = leader.name
        way = rng.choice(["one", "both", "apart"])
        pairs = [(first, second)]
        if way == "both":
            pairs.append((second, first))
        if way == "apart":
            pairs = [(first, n) for n in names] + [(n, first) for n in names]
        for pair in pairs:
            world.network.blocked[pair] = True

        def heal() -> None:
            for pair in pairs:
                world.network.blocked.pop(pair, None)

        world.later(rng.choice([0.1, 0.7, 3.0]), heal)

    def _strand(self) -> None:
        """The leader hears answers late, and some or all no longer hear the leader.

        That is when leases, transfers and restarts could deceive it: ask it all the time.
        """
        world, rng = self.world, self.rng
        leader = world.leader()
        if leader is None or world.network.lag:
            return
        others = [name for name in world.hosts if name != leader.name]
        late = rng.choice([0.2, 0.3, 0.45, 0.8])
        for name in others:
            world.network.lag[name, leader.name] = late
        deaf = rng.choice([others, others, others[:1]])
        trick = rng.choice(["", "", "transfer", "restart"])
        if trick == "transfer":
            world.transfer(leader)
        if trick == "restart" and others:
            self._restart_often(rng.choice(others))
        world.later(rng.uniform(0.6, 1.4), lambda: self._deafen(leader.name, deaf))
        for tick in range(150):
            world.later(tick * 0.02, lambda: self._ask_leaders(leader))

        def heal() -> None:
            world.network.lag.clear()
            for name in deaf:
                world.network.blocked.pop((leader.name, name), None)

        world.later(3.0, heal)

    def _deafen(self, speaker: str, deaf: list[str]) -> None:
        for name in deaf:
            self.world.network.blocked[speaker, name] = True

    def _restart_often(self, name: str) -> None:
        def restart() -> None:
            if self.world.hosts[name].node and self.world.now < self.duration:
                self.world.crash(name)
                self.world.start(name)

        for tick in range(10):
            self.world.later(0.2 * tick, restart)

    def _ask_leaders(self, stranded: Host) -> None:
        if self.world.now >= self.duration:
            return
        if stranded.node:
            self.world.read(stranded)
        for host in self.world.running():
            if host.live.leader and host is not stranded:
                self.world.propose(host)

    def _fill(self) -> None:
        world = self.world
        name = self.rng.choice(list(world.hosts))
        world.storage.set_full(name, full=True)
        world.later(self.rng.choice([0.2, 2.0]), lambda: world.storage.set_full(name, full=False))

    def _snapshot(self) -> None:
        if running := self.world.running():
            self.world.storage.take_snapshot(self.rng.choice(running).name)

    # -- phase 2 ----------------------------------------------------------------------------

    def _heal(self) -> None:
        world = self.world
        world.weather = Weather()
        world.network.blocked.clear()
        world.network.lag.clear()
        for host in world.hosts.values():
            world.storage.set_full(host.name, full=False)
            if not host.node:
                world.start(host.name)

    def _recover(self) -> None:
        """A write must be committed, and reach every member, in bounded time."""
        world = self.world
        end = world.now + RECOVERY_S
        while world.now < end:
            world.run_until(world.now + 0.25)
            leader = world.leader()
            if leader is None:
                continue
            (write,) = world.propose(leader)
            read = world.read(leader)
            world.run_until(world.now + 0.75)
            if write.answer == "done" and read.answer == "done" and self._level(leader):
                self._all_answered()
                return
        expect(ok=False, text=f"no recovery within {RECOVERY_S} s")

    def _level(self, leader: Host) -> bool:
        members = leader.live.configuration.servers
        hosts = [self.world.hosts[s.id] for s in members]
        return all(host.machine.index == leader.live.commit_index for host in hosts)

    def _all_answered(self) -> None:
        world = self.world
        world.run_until(world.now + 2.0)
        for handle in world.handles:
            if world.hosts[handle.host].incarnation == handle.incarnation:
                expect(bool(handle.answer), f"{handle} at {handle.host} was never answered")


def main() -> int:
    """Run the seeds given on the command line; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--brief", action="store_true", help="only the first line of a failure")
    options = parser.parse_args()
    one = options.seed is not None
    seeds = [options.seed] if one else range(options.first, options.first + options.count)
    failed = 0
    for seed in seeds:
        try:
            world = Life(seed).run()
            if one:
                print(f"seed {seed}: {world.events} events, trace {world.trace:08x}")
        except ViolationError as error:
            failed += 1
            text = str(error)
            print(f"seed {seed}: {text.splitlines()[0] if options.brief else text}", flush=True)
    print(f"{failed} of {len(seeds)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
