"""Faults of single machines: settings, clocks that stand still, old copies of disks, bad memory."""

from __future__ import annotations

from functools import partial
from random import Random

import msgspec

from quorate.raft import Settings
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.sim.verdicts.state_check import StateCheck
from quorate.testing.sim.world import World

VOTERS_MIN = 3  # so that the cluster outlives the loss of one


def settings_of_a_host(rng: Random, settings: Settings) -> tuple[Settings, int]:
    """Settings of one host, and after how many entries it takes a snapshot by itself (0: never).

    No time is shorter than the plan's: its clocks are drawn so that its leases are safe.
    """
    other = msgspec.structs.replace(
        settings.scaled(rng.choice([1.0, 1.0, 1.5, 3.0])),
        lease_reads=rng.random() < 0.7,
        append_entries_max=rng.choice([1, 8, 512]),
        apply_entries_max=rng.choice([1, 3, 512]),
        trailing_logs=rng.choice([0, 3, 20, 10240]),
    )
    return other, rng.choice([0, 10, 40])


def keep_log_short(world: World, host: Host) -> None:
    """Take a snapshot when the host's own threshold says so, as a server does by itself."""
    gathered = host.live.applied_index - host.live.log.snapshot_index
    if host.snapshot_every and gathered >= host.snapshot_every:
        world.for_host(host, 0.0, lambda: world.storage.take_snapshot(host.name))


class HostActions:
    """See the module; a part of `Actions`."""

    world: World
    plan: Plan
    rng: Random

    def _over(self) -> bool:
        return self.world.now >= self.plan.duration

    def _leader_or_any(self) -> Host | None:
        running = self.world.running()
        leader = self.world.leader()
        if leader is not None and self.rng.random() < 0.6:
            return leader
        return self.rng.choice(running) if running else None

    def _victim(self) -> Host | None:
        """A running member, if no other host is hurt: no cluster survives a lost majority."""
        world = self.world
        leader = world.leader()
        if leader is None or self._hurt():
            return None
        members = leader.live.configuration
        if len(members.voters()) < VOTERS_MIN:
            return None
        host = world.hosts[self.rng.choice(members.servers).id]
        return host if host.node else None

    def _hurt(self) -> bool:
        hosts = self.world.hosts.values()
        return any(h.damage or h.disk.flipped or h.disk.newer or h.mark or h.spoiled for h in hosts)

    # -- settings and clocks ----------------------------------------------------------------

    def _retune(self) -> str:
        """A host gets other settings, now (as by SIGHUP) or at its next start."""
        host = self.rng.choice(list(self.world.hosts.values()))
        settings, host.snapshot_every = settings_of_a_host(self.rng, self.plan.settings)
        self.world.tune(host, settings)
        self.world.coverage.met("servers with other settings than the others")
        if host.node:
            self.world.coverage.met("settings changed while a server ran")
        return f"{host.name} gets {settings}"

    def _stretch(self) -> str:
        """The leader gets a longer timeout than all others: its own says nothing of theirs."""
        world, leader = self.world, self.world.leader()
        if leader is None:
            return ""
        for host in world.hosts.values():
            world.tune(host, self.plan.settings.scaled(3.0 if host is leader else 1.0))
        world.coverage.met("servers with other settings than the others")
        return f"{leader.name} gets times 3 as long, the others times 1"

    def _halt(self) -> str:
        """A machine stands still, for up to a minute, and its clocks go on or stop with it."""
        host = self._leader_or_any()
        seconds = self.rng.choice([1.0, 2.0, 2.0, 4.0, 8.0, 45.0])
        if host is None or host.disk.newer is not None or host.paused_until > self.world.now:
            return ""
        how = self.rng.choice(["stopped", "suspended", "frozen", "frozen"])
        if how == "stopped":
            self.world.pause(host.name, seconds)
            self.world.coverage.met("a machine stood still, and its clock went on")
        elif how == "suspended":
            self.world.suspend(host.name, seconds)
            self.world.coverage.met("a machine was suspended, and its timers with it")
        else:
            if host.live.leader and self.rng.random() < 0.5:  # then its reads must be fresh
                settings = host.live.settings
                self.world.tune(host, msgspec.structs.replace(settings, lease_reads=False))
            self.world.freeze(host.name, seconds)
            self.world.coverage.met("a machine stood still, and its clock with it")
        if host.live.leader and how != "stopped":
            # It is asked in the moment in which it goes on, before it hears of the others.
            self.world.later(seconds, partial(self._ask_the_past, host, host.incarnation))
        return f"{host.name} is {how} for {seconds} s"

    def _ask_the_past(self, host: Host, incarnation: int) -> None:
        if host.node and host.incarnation == incarnation and not self._over():
            self.world.read(host)

    # -- disks ------------------------------------------------------------------------------

    def _rollback(self) -> str:
        """An image of a disk is kept; the server is restarted; later its disk is that image."""
        host = self._victim()
        if host is None or host.disk.newer is not None:
            return ""
        image, name, rng = host.disk.image(), host.name, self.rng
        world = self.world
        again = partial(self._restart, host)
        world.later(rng.uniform(0.1, 0.6), again)
        if rng.random() < 0.3:
            world.later(rng.uniform(0.6, 0.9), again)
        world.later(rng.uniform(1.0, 2.0), partial(self._put_back, host, image, rng))
        return f"an image is taken of the disk of {name}"

    def _restart(self, host: Host) -> None:
        if host.node and not host.disk.newer and not self._over():
            self.world.crash(host.name)
            self.world.start(host.name)

    def _put_back(self, host: Host, image: SimDisk, rng: Random) -> None:
        world = self.world
        if not self._may_be_old(host, image) or not world.meetings.may_start(host, image.start):
            return
        if host.node:
            world.crash(host.name)
        world.note(f"{host.name} is started on an earlier image of its disk")
        world.coverage.met("a server was started on an earlier image of its disk")
        world.roll_back(host, image, rng.choice([0.001, 0.03, 0.1]) / host.clock_rate)
        # A generator of its own: what other actions draw stays as it is.
        own = Random(f"stands still {world.seed} {host.name} {world.now}")
        if own.random() < 0.5:
            self._stand_still_in_an_election(host, own)

    def _stand_still_in_an_election(self, host: Host, rng: Random) -> None:
        """A process stands still from its start on, and the others look for a leader meanwhile."""
        world, seconds = self.world, rng.uniform(0.7, 1.5)
        world.pause(host.name, seconds)

        def stop_the_leader() -> None:
            leader = world.leader()
            if leader is not None and leader is not host and not self._over():
                world.pause(leader.name, 2.0)

        world.later(max(seconds - rng.uniform(0.5, 1.0), 0.0), stop_the_leader)

    def _copy(self) -> str:
        """A disk is copied, and started beside the first body, at once or after its restart."""
        host = self._victim()
        if host is None or host.disk.newer is not None:
            return ""
        image, world, rng = host.disk.image(), self.world, self.rng
        begin = partial(self._start_copy, host, image, rng)
        if rng.random() < 0.5:
            begin()
            return f"a copy of the disk of {host.name} is started beside it"
        world.later(rng.uniform(0.1, 0.5), partial(self._restart, host))
        world.later(rng.uniform(0.8, 2.0), begin)
        return f"the disk of {host.name} is copied"

    def _start_copy(self, host: Host, image: SimDisk, rng: Random) -> None:
        if host.node and self._may_be_old(host, image):
            self.world.coverage.met("a copied disk was started beside the first")
            self.world.copy(host, image, rng.choice([0.001, 0.03, 0.1]) / host.clock_rate)

    def _may_be_old(self, host: Host, image: SimDisk) -> bool:
        """Nothing else is hurt, and it is still the disk of which the image was taken."""
        leader = self.world.leader()
        if self._over() or leader is None or self._hurt():
            return False
        members = leader.live.configuration
        known = members.get(host.name) is not None and len(members.voters()) >= VOTERS_MIN
        return known and host.disk.generation == image.generation and not host.at_write

    def _flip_install(self) -> str:
        """A bit is flipped in the next snapshot that is installed, before it is read."""
        rng = self.rng

        def strike(host: Host) -> None:
            leader = self.world.leader()
            if leader is None or self._over() or self._hurt():
                return
            if len(leader.live.configuration.voters()) >= VOTERS_MIN:
                what = host.disk.flip_snapshot(rng.choice(["meta", "meta", "state"]), rng)
                self.world.note(f"a bit is flipped on {host.name}: {what}")

        self.world.storage.at_install = strike
        return "a bit is flipped in the next snapshot that is installed"

    # -- memory -----------------------------------------------------------------------------

    def _spoil(self) -> str:
        """A record in the memory of a server becomes another one; the states are compared."""
        host = self._victim()
        if host is None:
            return ""
        StateCheck(self.world, self.plan.duration).spoil(host)
        return f"a record in the memory of {host.name} is changed"
