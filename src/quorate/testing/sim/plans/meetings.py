"""Which start of which server the hosts of a simulated world have seen, and what follows from it.

What stands here is the part of a server that makes connections (`quorate.net.trust`): two processes
that meet note each other's start before anything else of it counts, durably, and a process is told
by those that it greets when it starts what they have against it. The rules are those of
`quorate.raft.values.identity`; each message is looked at by the driver (`RaftDriver.objection`),
as in a server.

An old copy of a disk is named only by a server that has seen a newer start of it, or that can ask
the other body. Where none can, no rule protects: there the copy is switched off (docs/operations).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from quorate.raft import Server
from quorate.raft.values.identity import (
    IdentityRecord,
    Start,
    newer_starts,
    objection,
    start_objection,
    two_bodies,
)
from quorate.runtime.fencing import fence
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.violations import expect

CLUSTER = "simulated"


class Meetings:
    """See the module."""

    def __init__(self, world: Stage, is_cut: Callable[[str, str], bool]) -> None:
        self.world = world
        self._is_cut = is_cut
        self._second: dict[tuple[str, int], set[Start]] = {}  # bodies that a process keeps out

    # -- starting ---------------------------------------------------------------------------

    def record(self, host: Host) -> IdentityRecord:
        """A process of the host starts: its number is raised before it can vote."""
        disk = host.disk
        disk.start += 1
        host.starts = max(host.starts, disk.start)
        bits = Random(f"run {self.world.seed} {host.name} {host.incarnation}")
        start = Start(disk.start, bits.randbytes(8))
        return IdentityRecord(
            server_id=host.server_id, cluster_id=CLUSTER, epoch=disk.epoch, start=start
        )

    def greet(self, host: Host, to: Server) -> None:
        """The process that has just started greets a member."""
        due = self.world.now + host.greets_after_s
        self.world.for_host(host, host.greets_after_s, partial(self._greeted, host, to, due))

    def _greeted(self, host: Host, to: Server, due: float) -> None:
        if self.world.now > due:  # it stood still meanwhile, and the connection has ended
            self.world.coverage.met("a server stood still while it greeted the others")
            host.driver.greeted(to.id, answered=False)
            return
        copied = host.disk.newer is not None
        if copied and not self.can_be_named(host):
            self.world.retire(host, "the old copy of a disk is switched off")
            return
        other = self.world.hosts.get(to.id)
        if other is None or not self._reach(host, other):
            host.driver.greeted(to.id, answered=False)
            return
        if host.is_apart(other.record):
            expect(bool(objection(host.record, other.record)), "takes epochs for one")
            self._differ(host, other)
            host.driver.greeted(to.id, answered=False)
            return
        self.meet(host, other)
        why = self.meet(other, host) or self.told(other, host)
        if not why:
            self._learn(host, other)
            host.driver.greeted(to.id, answered=True)
            return
        expect(copied, f"{host.name} is told that it is a copy, and is none: {why}")
        of = "a copied disk" if host.of else "a disk that was rolled back"
        self.world.coverage.met(f"{of} was named, and gave no vote")
        self.world.retire(host, why)

    def _learn(self, here: Host, other: Host) -> None:
        """What that member has seen of others is kept durably before its answer counts."""
        others = {server.id for server in here.live.configuration.servers} - {here.server_id}
        if newer := newer_starts(here.disk.seen, other.disk.seen, others):
            here.disk.seen = {**here.disk.seen, **newer}
            self.world.coverage.met("a start was known from hearsay")

    # -- meeting ----------------------------------------------------------------------------

    def meet(self, here: Host, other: Host) -> str:
        """Two processes have a connection: why nothing of the other one counts here, or empty.

        What the driver objects to itself is left to it.
        """
        record = other.record
        seen = here.disk.seen.get(record.server_id)
        if seen == record.start or here.server_id == record.server_id:
            return ""
        if here.is_apart(record):
            self._differ(here, other)
            return ""  # what that means to one that is of another epoch is not kept
        second = self._second.get((here.name, here.incarnation))
        if second is None or record.start not in second:
            if start_objection(record, seen):
                return ""
            if not self._is_second_body(here, other):
                here.disk.seen = {**here.disk.seen, record.server_id: record.start}
                return ""
            self._second.setdefault((here.name, here.incarnation), set()).add(record.start)
        return f"two servers use the ID {record.server_id}"

    def _differ(self, here: Host, other: Host) -> None:
        """They are of two epochs: the one of the earlier epoch was left out of a recovery."""
        for one, two in ((here, other), (other, here)):
            fence(one.live, two.record, one.driver.step, lambda _, why: self.world.note(why))

    def told(self, here: Host, other: Host) -> str:
        """What `here` has against the start of the other one, or empty."""
        return start_objection(other.record, here.disk.seen.get(other.server_id))

    def _is_second_body(self, here: Host, newcomer: Host) -> bool:
        """The place where the server was known is asked."""
        there = self.world.hosts.get(newcomer.server_id)
        if there is None or there is newcomer or not self._reach(here, there):
            return False
        return two_bodies(there.record, newcomer.record)

    def _reach(self, one: Host, other: Host) -> bool:
        return other.node is not None and self._awake(other) and not self._cut(one, other)

    def _awake(self, host: Host) -> bool:
        return host.paused_until <= self.world.now

    def _cut(self, one: Host, other: Host) -> bool:
        return self._is_cut(one.name, other.name) or self._is_cut(other.name, one.name)

    # -- what the rules can protect ---------------------------------------------------------

    def can_be_named(self, host: Host) -> bool:
        """True if this old copy of a disk, which runs, meets a server that can tell."""
        start = Start(host.disk.start, b"" if host.node is None else host.record.start.run)
        others = [
            other
            for name, other in self.world.hosts.items()
            if name != host.server_id and self._reach(host, other)
        ]
        knowing = [other for other in others if _has_seen_newer(other, host.server_id, start)]
        if not host.of:
            return bool(knowing)
        # Those that have seen nothing newer ask the first body.
        there = self.world.hosts[host.of]
        return bool(others) and all(
            other in knowing or self._reach(other, there) for other in others
        )

    def may_start(self, host: Host, disk_start: int) -> bool:
        """True if some server would name a process that starts from a disk of that number."""
        start = Start(disk_start + 1)
        return any(
            self._reach(host, other) and _has_seen_newer(other, host.server_id, start)
            for name, other in self.world.hosts.items()
            if name != host.server_id
        )


def _has_seen_newer(other: Host, server_id: str, start: Start) -> bool:
    seen = other.disk.seen.get(server_id)
    if seen is None:
        return False
    return seen.number > start.number or (seen.number == start.number and seen != start)
