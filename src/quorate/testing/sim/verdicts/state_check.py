"""Damage of a state machine in memory, and the comparison of states that finds it.

As in a server (`quorate.server.integrity`): a command marks an index of the log, every host takes a
digest there, the leader gathers them, one rule judges (`verdict.judge`), and a host whose digest is
wrong is quarantined: it does not lead, serves nothing from its state, and takes no snapshot. The
finding outlives a restart, and ends when a later comparison finds the state right.

Between the damage and the comparison nothing can know of it: no snapshot is taken there meanwhile.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from quorate.errors import StateDamaged
from quorate.server.integrity.verdict import Held, judge
from quorate.state.engine.commands import encode
from quorate.state.tables.checks import CheckState
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.verdicts.cluster import Handle
from quorate.testing.sim.verdicts.violations import expect

if TYPE_CHECKING:
    from quorate.testing.sim.world import World

_EVERY_S = 0.4
_GATHERED_S = 0.3
_RESTARTED_S = 0.6


class StateCheck:
    """See the module. It goes on until the host is right again, or until `end`."""

    def __init__(self, world: World, end: float) -> None:
        self.world = world
        self.end = end

    def spoil(self, host: Host) -> None:
        """Change a record in the memory of a running host, and begin to compare."""
        host.machine.spoil()
        self.world.later(_EVERY_S, partial(self._check, host))

    def _check(self, victim: Host) -> None:
        """Put the command into the log."""
        world = self.world
        if world.now >= self.end or not (victim.spoiled or victim.mark):
            return
        leader = world.leader()
        if leader is not None and leader.driver.damage is None:
            handle = world.handle(leader, "write", encode(CheckState()))
            judged = partial(self._gather, handle, leader)
            handle.on_answer = lambda answer, _: (
                world.later(_GATHERED_S, judged) if answer == "done" else None
            )
            world.ask_write(leader, handle)
        world.later(_EVERY_S, partial(self._check, victim))

    def _gather(self, handle: Handle, leader: Host) -> None:
        world = self.world
        if leader.node is None or leader.live.leader is None:
            return
        index = handle.index
        members = leader.live.configuration.servers
        held = [
            Held(id=m.id, node=m.id, voter=m.is_voter, digest=self._digest(leader, m.id, index))
            for m in members
        ]
        verdict = judge(index, leader.name, held)
        wrong = {each.id for each in verdict.wrong}
        for each in held:
            host = world.hosts.get(each.id)
            if host is None or host.node is None or not each.digest:
                continue
            if each.id in wrong:
                self._found(host)
            elif verdict.right == each.digest and host.mark and not host.spoiled:
                host.mark = ""
                host.driver.quarantine(None)
                world.coverage.met("a damaged state was right again")
        self._expect_found(held)

    def _expect_found(self, held: list[Held]) -> None:
        hosts = self.world.hosts
        told = [each for each in held if each.digest]
        right = [each for each in told if each.voter and not hosts[each.id].spoiled]
        if len(right) > sum(each.voter for each in held) // 2:
            for each in told:
                found = not hosts[each.id].spoiled or bool(hosts[each.id].mark)
                expect(found, f"the state of {each.id} is damaged, and its comparison says nothing")

    def _digest(self, leader: Host, server_id: str, index: int) -> str:
        """What that host has for the index, if it can be asked."""
        world, host = self.world, self.world.hosts.get(server_id)
        if host is None or host.node is None or host.paused_until > world.now:
            return ""
        if host is not leader and (
            world.network.is_cut(leader.name, server_id)
            or world.network.is_cut(server_id, leader.name)
        ):
            return ""
        return host.machine.checks.get(index, "")

    def _found(self, host: Host) -> None:
        world = self.world
        expect(host.machine.spoiled, f"{host.name} is told of damage, and its state is right")
        if host.mark:
            return
        host.mark = "the state here is damaged"
        leads = host.live.leader is not None
        name = "a leader" if leads else "a server"
        world.coverage.met(f"{name} was found to have a damaged state")
        world.note(f"the state of {host.name} is found to be damaged")
        host.driver.quarantine(StateDamaged(host.mark))
        if leads:
            world.transfer(host)
        else:
            self._tempt(host)
        world.for_host(host, _RESTARTED_S, partial(self._restart, host))

    def _tempt(self, host: Host) -> None:
        """The leader hands over to a follower whose state is damaged, or dies: it must not lead."""
        world, leader = self.world, self.world.leader()
        how = Random(f"{world.seed} tempts {host.name} {host.incarnation}").choice(["asks", "dies"])
        if leader is None or world.now >= self.end:
            return
        if how == "asks":
            world.transfer(leader, host.name)
        else:
            world.crash(leader.name)
            world.later(2.0, partial(world.revive, leader.name))

    def _restart(self, host: Host) -> None:
        if self.world.now < self.end:
            self.world.crash(host.name)
            self.world.start(host.name)
