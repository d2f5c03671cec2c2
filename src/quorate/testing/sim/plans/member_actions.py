"""Actions on members and leadership: changes, in the worst moments too, and transfers."""

from __future__ import annotations

from functools import partial
from random import Random

from quorate.raft import Change, ChangeKind
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.sim.world import World

_REDUCED_MIN = 2
_OUTVOTED_MIN = 3  # voters: the others elect a leader without the old one


class MemberActions:
    """See the module; a part of `Actions`."""

    world: World
    plan: Plan
    rng: Random

    def _over(self) -> bool:
        return self.world.now >= self.plan.duration

    def _someone(self) -> Host | None:
        """A running host, as a rule one that leads."""
        running = self.world.running()
        if not running:
            return None
        leaders = [host for host in running if host.live.leader]
        if leaders and self.rng.random() < 0.9:
            return self.rng.choice(leaders)
        return self.rng.choice(running)

    def _change(self) -> str:
        host = self._someone()
        name = self.rng.choice(list(self.world.hosts))
        kind = self.rng.choice(list(ChangeKind))
        if host is None:
            return ""
        force = self.rng.random() < 0.3
        self.world.change(host, Change(kind, name, f"{name}:1"), force=force)
        how = " by force" if force else ""
        return f"{host.name} is asked to change{how}: {kind.name.lower()} {name}"

    def _ask_to_change(self, host: Host, change: Change) -> None:
        self.world.change(host, change)

    def _reduce(self) -> str:
        """All are up and hear each other; a moment later voters die, and others are removed."""
        for name in self.world.hosts:
            self.world.revive(name)
        self.world.network.blocked.clear()
        self.world.later(0.8, partial(self._remove_two, self.rng))
        return "all servers are up and reach each other"

    def _remove_two(self, rng: Random) -> None:
        """As many voters die as can be spared, and two others are removed a few ms apart."""
        world, leader = self.world, self.world.leader()
        if leader is None or self._over():
            return
        configuration = leader.live.configuration
        others = [s.id for s in configuration.voters() if s.id != leader.name]
        spared = len(configuration.voters()) - configuration.quorum()
        if len(others) < _REDUCED_MIN:
            return
        rng.shuffle(others)
        for name in others[:spared]:
            if world.hosts[name].node:
                world.crash(name)
                world.later(rng.uniform(1.5, 3.0), partial(world.revive, name))
        pause = 0.0
        for name in others[spared:][:2]:
            change = Change(ChangeKind.REMOVE_SERVER, name)
            world.for_host(leader, pause, partial(self._ask_to_change, leader, change))
            pause = rng.uniform(0.0, 0.02)
        dead, removed = " ".join(others[:spared]), " ".join(others[spared:][:2])
        world.note(f"{dead} crash, and {leader.name} is asked to remove {removed}")

    def _transfer(self) -> str:
        host = self._someone()
        target = self.rng.choice(["", *self.world.hosts])
        if host is None:
            return ""
        self.world.transfer(host, target)
        return f"{host.name} is asked to hand over to {target or 'the best'}"

    def _orphan(self) -> str:
        """A leader that is cut off is asked for a change, which the next leader knows nothing of.

        It stands in its log, and is in force there, until that one truncates it.
        """
        world, rng, leader = self.world, self.rng, self.world.leader()
        if leader is None or len(leader.live.configuration.voters()) < _OUTVOTED_MIN:
            return ""
        others = [name for name in world.hosts if name != leader.name]
        pairs = [pair for name in others for pair in ((leader.name, name), (name, leader.name))]
        for pair in pairs:
            world.network.blocked[pair] = True

        def heal() -> None:
            for pair in pairs:
                world.network.blocked.pop(pair, None)

        known = leader.live.configuration
        strangers = [name for name in others if known.get(name) is None]
        if strangers:
            name = rng.choice(strangers)
            change = Change(ChangeKind.ADD_NONVOTER, name, f"{name}:1")
        else:
            change = Change(ChangeKind.DEMOTE_VOTER, rng.choice(others))
        world.change(leader, change, force=True)
        for delay in (1.0, 1.5, 2.0):
            world.later(delay, self._write_where_it_leads)
        world.later(rng.choice([1.7, 2.5]), heal)
        what = f"{change.kind.name.lower()} {change.server_id}"
        return f"{leader.name} is cut off, and asked to change: {what}"

    def _write_where_it_leads(self) -> None:
        leader = self.world.leader()
        if leader is not None and not self._over():
            self.world.propose(leader)
