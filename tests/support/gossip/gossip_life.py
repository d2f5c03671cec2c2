"""One seed, one life of a pool: first everything may fail, then everybody must agree again.

Run one by hand: `python tests/support/gossip/gossip_life.py SEED`,
many: `... --from 0 --count 1000`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from gossip_pool import Host, Pool, Weather

from quorate.gossip import LAN, Settings
from quorate.gossip.effects import Effect, EventArrived, JoinDone, MemberChanged, NameLost
from quorate.gossip.events import (
    Event,
    ForceLeaveRequested,
    LeaveRequested,
    SendQuery,
    SendUserEvent,
    SetTags,
)
from quorate.gossip.serf.phase import Phase

# Virtual, from the end of the faults: three exchanges of states in the largest pool, and a round
# of probes. What heals only by an exchange needs the luck of meeting the right member.
RECOVERY_S = 120.0
FAULTS_S = 60.0
SETTLE_S = 12.0  # who is frozen thaws, who leaves has left
NAMES = "abcdefghij"


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Checks:
    """What must hold after every step, whatever happens."""

    def __init__(self) -> None:
        self._incarnations: dict[tuple[Host, str], int] = {}
        self._clocks: dict[Host, tuple[int, int, int]] = {}
        self._events: set[tuple[Host, str, Any, int]] = set()

    def __call__(self, host: Host, _event: Event, effects: list[Effect]) -> None:
        node = host.node
        me = host  # as a key: an object that is kept, so that its identity is not used again
        for name, record in node.table.records.items():
            before = self._incarnations.get((me, name), 0)
            if record.incarnation < before:
                raise ViolationError(f"{host.name}: the incarnation of {name} fell")
            self._incarnations[me, name] = record.incarnation
        clocks = node.clocks()
        if any(new < old for new, old in zip(clocks, self._clocks.get(me, clocks), strict=True)):
            raise ViolationError(f"{host.name}: a clock went back")
        self._clocks[me] = clocks
        for effect in effects:
            if isinstance(effect, EventArrived):
                key = (me, effect.name, effect.payload, effect.ltime)
                if key in self._events:
                    raise ViolationError(f"{host.name}: {effect.name} was told twice")
                self._events.add(key)
            elif isinstance(effect, NameLost):
                raise ViolationError(f"{host.name} lost its name, though nobody else has it")
        roster = node.roster
        gone = {n for n, k in roster.members.items() if k.status.name in {"FAILED", "LEFT"}}
        if gone != {*roster.failed, *roster.left}:
            raise ViolationError(f"{host.name}: the lists of the gone are not what is gone")


class Life:
    """The plan of one seed."""

    def __init__(self, seed: int, trace: bool = False) -> None:
        rng = self.rng = Random(f"life {seed}")
        self.seed = seed
        weather = Weather(
            loss=rng.choice([0.0, 0.02, 0.1, 0.3]),
            delay=rng.choice([(0.0002, 0.001), (0.001, 0.05), (0.05, 0.2)]),
            duplicate=rng.choice([0.0, 0.1]),
        )
        settings: Settings = msgspec.structs.replace(
            LAN,
            coordinates=rng.random() < 0.5,
            dead_node_reclaim_s=rng.choice([0.0, 5.0]),
            gossip_to_the_dead_s=rng.choice([5.0, 30.0]),
            packet_bytes_max=rng.choice([600, 1400]),
        )
        names = NAMES[: rng.randrange(2, len(NAMES) + 1)]
        self.pool = Pool(seed, settings, weather=weather, watch=Checks(), trace=trace)
        self.first = names[0]
        for name in names:
            self.pool.start(name)
        for name in names[1:]:
            self._join(name, (self.first,))
        self._moves = 0
        self.done: list[str] = []

    def run(self) -> None:
        """Faults, then peace. Raises ViolationError."""
        pool, rng = self.pool, self.rng
        end = FAULTS_S
        while pool.now < end:
            pool.run(rng.expovariate(0.5))
            self._something()
        pool.heal()
        pool.weather.loss, pool.weather.delay = 0.0, (0.0002, 0.001)
        for host in list(pool.hosts.values()):
            if not host.up:
                self._restart(host.name, move=rng.random() < 0.3)
        pool.run(SETTLE_S)
        if pool.run_until(pool.agrees_on_addresses, RECOVERY_S, every=0.5) > RECOVERY_S:
            raise ViolationError(f"no agreement: {self._views()}")
        pool.run(10.0)
        if not pool.agrees_on_addresses():
            raise ViolationError(f"the agreement did not last: {self._views()}")

    def _views(self) -> dict[str, dict[str, str]]:
        return {
            host.name: {n: k.status.name for n, k in host.node.roster.members.items()}
            for host in self.pool.up()
        }

    def _something(self) -> None:
        what = self.rng.choice(
            [
                *(self._crash, self._crash, self._restart_one, self._restart_one),
                *(self._cut, self._heal, self._freeze, self._leave, self._say, self._say),
                *(self._retag, self._force),
            ]
        )
        self.done.append(f"{self.pool.now:.2f} {what.__name__}")
        what()

    def _any_up(self) -> str:
        return self.rng.choice([host.name for host in self.pool.up()])

    def _crash(self) -> None:
        if sum(host.node.phase is Phase.HERE for host in self.pool.up()) > 2:
            self.pool.stop(self._any_up())

    def _restart_one(self) -> None:
        down = [host.name for host in self.pool.hosts.values() if not host.up]
        if down:
            self._restart(self.rng.choice(down), move=self.rng.random() < 0.3)

    def _restart(self, name: str, *, move: bool) -> None:
        ip = ""
        if move:
            self._moves += 1
            ip = f"10.1.0.{self._moves}"
        old = self.pool.hosts[name]
        clocks = old.node.clocks() if self.rng.random() < 0.5 else (0, 0, 0)
        self.pool.start(name, ip, clocks=clocks)
        others = [host.name for host in self.pool.up() if host.name != name]
        self._join(name, self.rng.sample(others, min(3, len(others))))

    def _join(self, name: str, others: Sequence[str]) -> None:
        """As an agent does: try until somebody has answered, and again whenever it is alone."""
        pool, host = self.pool, self.pool.hosts[name]
        pool.join(name, *others)

        def look() -> None:
            if not host.up or host.node.phase is not Phase.HERE:
                return
            joined = any(done.joined for done in host.of(JoinDone))
            if joined and host.node.knows_alive_others():
                pool.later(10.0, look)
            else:
                self._join(name, [h.name for h in pool.up() if h is not host])

        pool.later(5.0, look)

    def _cut(self) -> None:
        names = list(self.pool.hosts)
        self.rng.shuffle(names)
        place = self.rng.randrange(len(names))
        self.pool.part(names[:place], names[place:])

    def _heal(self) -> None:
        self.pool.heal()

    def _freeze(self) -> None:
        host = self.rng.choice(self.pool.up())
        if not host.frozen:
            self.pool.freeze(host.name, self.rng.uniform(0.1, 10.0))

    def _leave(self) -> None:
        up = self.pool.up()
        staying = [host for host in up if host.node.phase is Phase.HERE]
        if len(staying) > 2 and self.rng.random() < 0.5:
            host = self.rng.choice(staying)
            self.pool.step(host, LeaveRequested("leave"))
            self.pool.later(8.0, lambda: self._gone(host))

    def _gone(self, host: Host) -> None:
        if self.pool.hosts[host.name] is host and host.up:
            self.pool.stop(host.name)

    def _say(self) -> None:
        host = self.pool.hosts[self._any_up()]
        if host.node.phase is Phase.HERE:
            name = f"event {self.pool.now:.3f}"
            self.pool.step(host, SendUserEvent(name, b"x"))
            self.pool.step(host, SendQuery(name, name, wants_acks=True, relay_factor=1))

    def _retag(self) -> None:
        host = self.pool.hosts[self._any_up()]
        self.pool.step(host, SetTags({"role": "server", "at": f"{self.pool.now:.3f}"}))

    def _force(self) -> None:
        host = self.pool.hosts[self._any_up()]
        # Not who is only cut off: an operator who says that it has left ends all attempts to meet.
        failed = [n for n in host.node.roster.failed if not self.pool.hosts[n].up]
        if failed and host.node.phase is Phase.HERE:
            name = self.rng.choice(failed)
            prune = self.rng.random() < 0.5
            self.pool.step(host, ForceLeaveRequested(name, prune))

    def reports(self) -> int:
        """How many changes of members were reported in all."""
        return sum(len(host.of(MemberChanged)) for host in self.pool.hosts.values())


def main() -> int:
    parser = argparse.ArgumentParser(description="Live the life of a pool again from its seed.")
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    single = options.seed is not None
    seeds = [options.seed] if single else range(options.first, options.first + options.count)
    wrong = 0
    for seed in seeds:
        life = Life(seed)
        try:
            life.run()
        except ViolationError as error:
            wrong += 1
            print(f"seed {seed}: {error}")
            if single:
                print("\n".join(life.done))
    print(f"{len(seeds)} lives, {wrong} with a violation")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
