"""The servers of a simulated pool: places, processes, who answers where, and a leader's rounds."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import msgspec

from quorate.autopilot import actions as act
from quorate.autopilot.deciders.taking_in import Verdict
from quorate.autopilot.facts import Claim, Facts, Heard
from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import Outcome, departing, joining, leader_round
from quorate.gossip.effects import MemberChanged
from quorate.gossip.messages import Address
from quorate.levels import LEVEL
from quorate.raft.effects import Reason
from quorate.raft.values.configuration import Server
from quorate.runtime.driver import Clock
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.leader.facts import gather
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.table import Command
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import WriteJournal
from quorate.state.tables.servers import RecordServer
from quorate.testing.pools.clock import AllTimers, WorldClock
from quorate.testing.pools.gossip import GossipMember, Net
from quorate.testing.pools.process import Process, address_of
from quorate.testing.pools.rules import Rules
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.surroundings import SimClock
from quorate.testing.sim.world import World

ROUND_S = 0.25
_ASK_TIMEOUT_S = 1.0
_CHANGE_TIMEOUT_S = 10.0
_AGAIN_S = 0.05
_INTRODUCE_S = 1.0
_LOOK_FOR_OTHERS_S = 2.0
_OVERTAKEN = tuple(reason.value for reason in (Reason.CHANGE_PENDING, Reason.CHANGE_STALE))
_RULES = AutopilotConfiguration(server_stabilization_time_ns=500_000_000)


def gossip_address_of(place: int) -> Address:
    """The gossip address of a place."""
    return Address(f"10.0.0.{place}", 4648)


def identity(server_id: str, name: str, place: int, level: int) -> Identity:
    """The identity that a server gives of itself."""
    return Identity(
        id=server_id,
        name=name,
        region="global",
        datacenter="dc1",
        address=address_of(place),
        serf_port=4648,
        version="0",
        level=level,
        initialised=True,
    )


class Servers:
    """All processes, by place; and what they do beside Raft and gossip."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.net = Net(world, self.cut)
        self.at: dict[int, Process] = {}
        self.places: list[int] = []  # where servers are configured to look for others
        self.notes: list[tuple[float, str]] = []
        self.levels: dict[str, int] = {}  # by ID: which feature level its program knows
        self.rules = Rules(self)
        world.network.route = self._route

    def note(self, text: str) -> None:
        """Put this into the story."""
        self.notes.append((self.world.now, text))

    # -- processes --------------------------------------------------------------------------

    def start(self, server_id: str, name: str, place: int, *, replica: bool = True) -> Process:
        """A process of that server, there; without a replica it is a copy that only talks."""
        if not replica:
            return self._begin(server_id, name, place, None)
        host = self.world.hosts[server_id]
        host.at = address_of(place)
        self.world.start(server_id)
        return self._begin(server_id, name, place, host)

    def start_copy(self, of: Process, disk: SimDisk, name: str, place: int, after: float) -> None:
        """A second process of a server, there, on a copy of its disk; it greets after so long."""
        assert of.host is not None
        body = self.world.copy(of.host, disk, after, address_of(place))
        self._begin(of.id, name, place, body)

    def start_rolled_back(self, of: Process, disk: SimDisk, after: float) -> None:
        """The server, which has stopped, is started where it was, on an earlier image of its disk.

        It greets after so long.
        """
        assert of.host is not None
        self.world.roll_back(of.host, disk, after)
        self._begin(of.id, of.name, of.place, of.host)

    def _begin(self, server_id: str, name: str, place: int, host: Host | None) -> Process:
        """What a process is beside its replica."""
        world = self.world
        assert place not in self.at, f"{self.at[place].name} is at place {place}"
        me = identity(server_id, name, place, self.levels.get(server_id, LEVEL))
        directory = Directory(me, fail_after_s=None)
        process = Process(server_id, name, place, host, world.now, directory)
        self.at[place] = process
        if place not in self.places:
            self.places.append(place)
        clock: Clock = WorldClock(world, lambda: process.up)
        if host is not None:
            process.incarnation = host.incarnation
            clock = own = SimClock(world, world.storage, host)
            host.timers = AllTimers(host.timers, own)

        def hear(changed: MemberChanged) -> None:
            if changed.member.name != me.node:
                directory.pool_says(changed, clock.now())

        address = gossip_address_of(place)
        process.member = GossipMember(
            *(self.net, process.key, host, clock),
            name=me.node,
            address=address,
            tags=me.tags(),
            hear=hear,
        )
        self._look_for_others(process)
        if host is not None:
            self._every(process, ROUND_S, lambda: self._lead(process))
            self._every(process, _INTRODUCE_S, lambda: self._introduce(process))
        self.note(f"{name} ({server_id}) starts at place {place}")
        return process

    def stop(self, process: Process) -> None:
        """Kill it."""
        if not process.up:
            return
        process.up = False
        del self.at[process.place]
        assert process.member is not None
        process.member.stop()
        if process.host is not None and process.host.node:
            self.world.crash(process.host.name)
        self.note(f"{process.name} ({process.id}) stops at place {process.place}")

    def running(self) -> list[Process]:
        """The servers that run, by place; no copies of them."""
        return [self.at[place] for place in sorted(self.at) if not self.at[place].is_copy]

    def halted(self, process: Process) -> float:
        """How long its machine still stands still, in seconds; 0 if it runs."""
        return 0.0 if process.host is None else process.host.paused_until - self.world.now

    def _every(self, process: Process, seconds: float, action: Callable[[], None]) -> None:
        def again() -> None:
            if process.up:
                if self.halted(process) <= 0:
                    action()
                self.world.later(seconds, again)

        self.world.later(seconds * self.net.rng.random(), again)

    def _look_for_others(self, process: Process) -> None:
        def look() -> None:
            assert process.member is not None
            if not process.member.node.knows_alive_others():
                process.member.join(*(gossip_address_of(place) for place in self.places))

        self.world.later(0.01, look)
        self._every(process, _LOOK_FOR_OTHERS_S, look)

    # -- the network ------------------------------------------------------------------------

    def cut(self, origin: str, target: str) -> bool:
        """True if these two processes (by key) are parted."""
        network = self.world.network
        isolated = bool(network.isolated) and network.isolated in {origin, target}
        return (
            isolated or (origin, target) in network.blocked or (target, origin) in network.blocked
        )

    def _route(self, host: Host, to: Server) -> str:
        """The host that a message to that member reaches; empty if it is not there."""
        origin = self.process_of(host)
        if origin is None:
            return ""
        where = origin.directory.whereabouts(to.id, to.address)
        there = self.there(where)
        if there is None or there.id != to.id or there.host is None:
            return ""
        return there.host.name

    def there(self, address: str) -> Process | None:
        """The process that listens at that RPC address."""
        return next((p for p in self.at.values() if p.address == address), None)

    def process_of(self, host: Host) -> Process | None:
        """The process of that host."""
        return next((p for p in self.at.values() if p.host is host), None)

    def leader(self) -> Process | None:
        """The server that leads in the highest term."""
        host = self.world.leader()
        return None if host is None else self.process_of(host)

    # -- what a server does by itself -------------------------------------------------------

    def look(self, process: Process) -> Facts | None:
        """The facts of this server, if it leads."""
        host, world = process.host, self.world
        if not process.up or host is None or not host.node:
            return None
        store = host.machine.store
        return gather(
            *(host.live, store, process.directory, lambda: host.clock(world.now)),
            removing=frozenset(process.removing),
        )

    def _lead(self, process: Process) -> None:
        if process.busy or self.look(process) is None:
            return
        process.busy = True

        def over(memory: Memory) -> None:
            process.memory, process.busy = memory, False

        Steps(self, process, leader_round(lambda: self.look(process), process.memory), over).go()

    def _introduce(self, process: Process) -> None:
        leader = self.leader()
        if process.introduced or process.leaving or leader is None:
            return
        if self.cut(process.key, leader.key):
            return
        if process.host is not None and (why := self._is_old(process.host, leader)):
            self.world.retire(process.host, why)
            return

        def over(verdict: Verdict) -> None:
            process.introduced = not verdict.why

        claim = process.claim()
        Steps(self, leader, joining(lambda: self.look(leader), claim), over).go()

    def _is_old(self, host: Host, leader: Process) -> str:
        """Why a server without data must not use its ID any more, or empty.

        One that has data hears it when it greets the members.
        """
        if leader.host is None or host.live.configuration.servers:
            return ""
        return self.world.meetings.told(leader.host, host)

    def leave(self, process: Process, done: Callable[[str], None]) -> None:
        """It asks the leader to be taken out; why not, or empty."""
        process.leaving = True
        process.directory.update_me(msgspec.structs.replace(process.directory.me, leaving=True))
        leader = self.leader()
        if leader is None or self.cut(process.key, leader.key):
            done("no leader")
            return
        steps = departing(lambda: self.look(leader), process.id)
        Steps(self, leader, steps, lambda verdict: done(verdict.why)).go()


class Steps:
    """Carries out the actions of one sequence on virtual time, at the leader `process`."""

    def __init__(
        self,
        servers: Servers,
        process: Process,
        steps: Generator[act.Action, Outcome, Any],
        over: Callable[[Any], None],
    ) -> None:
        self._servers = servers
        self._world = servers.world
        self._process = process
        self._steps = steps
        self._over = over

    def go(self) -> None:
        """Begin."""
        self._next(lambda: next(self._steps))

    def _next(self, advance: Callable[[], act.Action]) -> None:
        if not self._process.up:
            return  # nothing of a process goes on when it has ended
        if (wait := self._servers.halted(self._process)) > 0:
            self._world.later(wait, lambda: self._next(advance))
            return
        try:
            action = advance()
        except StopIteration as end:
            self._over(end.value)
            return
        self._carry_out(action)

    def _go_on(self, outcome: Outcome) -> None:
        self._next(lambda: self._steps.send(outcome))

    def _carry_out(self, action: act.Action) -> None:
        world, process = self._world, self._process
        host = process.host
        assert host is not None
        match action:
            case act.Ask(addresses=addresses):
                self._ask(addresses)
            case act.Say(text=text):
                self._servers.note(f"{process.name} says: {text}")
                self._servers.rules.said(process, action)
                self._go_on(Outcome())
            case act.FirstWrites():
                self._write(
                    InitialiseDefaults(autopilot=_RULES), SetClusterMetadata(cluster_id="ours")
                )
            case act.RecordServer(id=server_id, name=name, address=address):
                self._servers.rules.recording(action)
                self._write(RecordServer(server_id=server_id, name=name, address=address))
            case act.RaiseLevel():
                self._raise_level(host, action)
            case act.Tell(notes=notes, told=told, since=since):
                self._servers.note(f"{process.name} tells: {[note.what for note in notes]}")
                time_ms = int(world.now * 1000)
                self._write(
                    WriteJournal(
                        time_ms=time_ms, by=process.id, notes=notes, told=told, since=since
                    )
                )
            case act.MakeWay(target=target):
                self._when_answered(world.transfer(host, target))
            case _:
                self._servers.note(f"{process.name} decides: {action}")
                self._servers.rules.deciding(process, action)
                handle = world.change(host, act.change_of(action))
                self._when_answered(handle, action)

    def _raise_level(self, host: Host, action: act.RaiseLevel) -> None:
        self._servers.note(f"{self._process.name} decides: {action}")
        if host.live.configuration_index != action.prev_index:
            self._go_on(Outcome("the membership has changed", stale=True))
            return
        self._servers.rules.raising(self._process, action.level)
        self._write(RaiseLevel(level=action.level, version="0"))

    def _write(self, *commands: Command) -> None:
        host = self._process.host
        assert host is not None
        handles = self._world.propose_commands(host, [encode(command) for command in commands])
        self._when_answered(handles[-1])

    def _when_answered(self, handle: Any, action: Any = None) -> None:
        """Go on when the world has answered, or after a while."""
        over = False

        def go_on(why: str) -> None:
            nonlocal over
            if over:
                return
            over = True
            stale = why.startswith(_OVERTAKEN)
            if action is not None and not why:
                self._servers.rules.done(action)
            pause = _AGAIN_S if stale else 0.0
            self._world.later(pause, lambda: self._go_on(Outcome(why, stale=stale)))

        def answered(answer: str, _: Any) -> None:
            go_on("" if answer.startswith("done") else answer)

        if handle.answer:
            answered(handle.answer, None)
        handle.on_answer = answered
        self._world.later(_CHANGE_TIMEOUT_S, lambda: go_on("timed out"))

    def _ask(self, addresses: tuple[str, ...]) -> None:
        """Every server that is there answers what it is; the others are waited for."""
        heard: dict[str, Heard] = {}
        host = self._process.host
        assert host is not None

        def hear(address: str, claim: Claim | None) -> None:
            heard[address] = Heard(host.clock(self._world.now), claim)
            if len(heard) == len(set(addresses)):
                self._go_on(Outcome(heard=heard))

        for address in dict.fromkeys(addresses):
            self._greet(address, partial(hear, address))

    def _greet(self, address: str, then: Callable[[Claim | None], None]) -> None:
        there = self._servers.there(address)
        servers = self._servers
        reached = there is not None and not servers.cut(self._process.key, there.key)
        if there is None or not reached or servers.halted(there) > 0:
            pause = 0.01 if there is None else _ASK_TIMEOUT_S
            self._world.later(pause, lambda: then(None))
            return
        servers.net.later(lambda: then(there.claim() if there.up else None))
