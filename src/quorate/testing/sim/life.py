"""One life of a cluster: first everything may fail, then everything must recover, then be quiet."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Protocol

from quorate.raft import Change, ChangeKind, Configuration, Server
from quorate.testing.history import Kind, Operation, Recorder
from quorate.testing.linearizability import check
from quorate.testing.sim.machines.hosts import Host, Weather
from quorate.testing.sim.plans.actions import Actions
from quorate.testing.sim.plans.clients import Client
from quorate.testing.sim.plans.host_actions import keep_log_short, settings_of_a_host
from quorate.testing.sim.plans.plan import Plan
from quorate.testing.sim.verdicts.violations import NoProgressError, ViolationError, expect
from quorate.testing.sim.world import World

RECOVERY_S = 15.0  # virtual, from the end of the faults: thirty election timeouts
REPLACEMENT_S = 15.0  # more, for each server whose disk was damaged
_FOUNDED_BY_S = 10.0
_QUIET = {
    "return": "a server came back without unseating the leader",
    "deaf": "a server that heard all but its leader did not unseat it",
    "removed": "a server that was removed unawares did not unseat the leader",
    "full": "a leader was replaced by votes of servers whose disks were full",
    "alone": "a leader was cut off, and replaced for good",
    "asleep": "a leader was suspended, replaced, and asked when it went on",
}


class FailedLifeError(ViolationError):
    """A life in which something was wrong; its text tells the story and how to see it again.

    `rule` is what was wrong, in a line; `at` when, in seconds of the world.
    """

    def __init__(self, life: Life, error: ViolationError) -> None:
        world = life.world
        self.plan = life.plan
        self.rule = str(error)
        self.progress = isinstance(error, NoProgressError)
        self.at = world.now
        self.world = world
        self.done = tuple(life.actions.done)
        schedule = "\n".join(self.done) or "no action was done"
        super().__init__(
            f"{error}\nseed {life.plan.seed}, event {world.events}, time {world.now:.4f}, "
            f"trace {world.trace:08x}\n{world.story()}\nactions:\n{schedule}\n{error}\n"
            f"replay: {life.plan.command(life.program)}"
        )


class Operating(Protocol):
    """A client, which goes on until a time of the world."""

    until: float

    def begin(self) -> None:
        """Start."""


class Life:
    """Plays a plan. `program` is the module that plays the same again."""

    program = "quorate.testing.sim"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        seed = f"{plan.seed}" if not plan.variant else f"{plan.seed} variant {plan.variant}"
        members = plan.members
        if plan.founding == "one":
            members = Configuration(members.servers[:1])
        founded = plan.founding == "disks"
        self.world = World(seed, plan.names, plan.settings, members, founded=founded)
        self.members = members
        self.world.network.wire = plan.wire
        self.world.weather = plan.weather
        self.world.checker.leases_hold = plan.clocks.lawful
        self.actions = Actions(self.world, plan)
        self.recorder = Recorder(lambda: self.world.now)
        self.clients: list[Operating] = [
            Client(self.world, each, self.recorder) for each in plan.clients
        ]
        self._replacing: set[str] = set()
        rng = Random(f"clocks {seed}")
        for host in self.world.hosts.values():
            host.clock_rate = rng.uniform(1.0, plan.clocks.drift)
            host.clock_offset = rng.uniform(0, 1000)
        if plan.uneven:
            self._draw_settings(Random(f"settings {seed}"))

    def _draw_settings(self, rng: Random) -> None:
        for host in self.world.hosts.values():
            host.settings, host.snapshot_every = settings_of_a_host(rng, self.plan.settings)
        self.world.coverage.met("servers with other settings than the others")

    def run(self) -> World:
        """All phases. Raises FailedLifeError."""
        try:
            self._faults()
            self._heal()
            if self._quorum_is_lost():
                self.world.coverage.met("quorum lost to damage")
                self.world.run_until(self.world.now + 2.0)
            else:
                leader = self._recover()
                self._be_quiet(leader)
            self._look_back()
        except ViolationError as error:
            raise FailedLifeError(self, error) from error
        return self.world

    # -- phase 1 ----------------------------------------------------------------------------

    def _faults(self) -> None:
        world, plan = self.world, self.plan
        for name in world.hosts:
            world.start(name)
        self._found()
        if not plan.clocks.lawful:
            world.coverage.met("clocks ran further apart than leases allow")
        self.actions.schedule()
        self._operate()
        for client in self.clients:
            client.until = plan.duration + 1.0
            client.begin()
        world.run_until(plan.duration)

    def _operate(self) -> None:
        """Now and then an operator looks for damaged servers, and replaces them."""
        world = self.world
        for host in world.running():
            keep_log_short(world, host)
        if world.now < self.plan.duration:
            leader = world.leader()
            if leader:
                self._replace_damaged(leader)
            world.later(0.5, self._operate)

    def _found(self) -> None:
        """Found the cluster as its servers do; the servers may be cut off from each other."""
        world, founding = self.world, self.plan.founding
        if founding == "disks":
            return
        for server in self.members.servers:
            world.found(world.hosts[server.id], self.members)
        if founding == "servers":
            world.coverage.met("cluster founded by its servers")
        else:
            world.later(0.5, lambda: self._grow(world.now + _FOUNDED_BY_S))

    def _grow(self, end: float) -> None:
        """Add the members one by one, as soon as the leader allows it."""
        world = self.world
        if world.now > min(end, self.plan.duration):
            return
        leader = world.leader()
        if leader is not None:
            known = leader.live.configuration
            missing = [
                server
                for server in self.plan.members.servers
                if known.get(server.id) is None
                or (server.is_voter and not known.is_voter(server.id))
            ]
            if not missing:
                world.coverage.met("cluster grown from one server")
                return
            world.change(leader, _taking_in(missing[0], known))
        world.later(0.1, lambda: self._grow(end))

    # -- phase 2 ----------------------------------------------------------------------------

    def _heal(self) -> None:
        world = self.world
        world.note("the faults end")
        world.weather = Weather(delay=self.plan.topology.delay or Weather().delay)
        world.network.blocked.clear()
        world.network.lag.clear()
        for host in world.hosts.values():
            host.lag = 0.0  # a process that is stopped goes on when its time has come
            host.disk_delay = None
            host.at_write = None
            if not host.node or host.spoiled or host.mark:
                host.mark = ""  # what is in memory alone ends with the process
                if host.node:
                    world.crash(host.name, lucky=False)
            world.tune(host, self.plan.settings)
            world.storage.set_full(host.name, full=False)
            world.revive(host.name)

    def _quorum_is_lost(self) -> bool:
        """True if damaged disks are a majority of the newest membership."""
        sound = [host.live for host in self.world.running()]
        newest = max(sound, key=lambda node: (node.log.last_term, node.log.last_index))
        voters = newest.configuration.voters()
        whole = [s for s in voters if not self.world.hosts[s.id].damage]
        return len(whole) < newest.configuration.quorum()

    def _recover(self) -> Host:
        """A write must be committed, and reach every member, in bounded time."""
        world = self.world
        asleep = max(host.paused_until for host in world.hosts.values())
        end = max(world.now, asleep) + RECOVERY_S
        limit = end + len(world.hosts) * REPLACEMENT_S  # a change that never settles is no progress
        while world.now < end:
            world.run_until(world.now + 0.25)
            leader = world.leader()
            if leader is None:
                continue
            if self._replace_damaged(leader):
                end = min(max(end, world.now + REPLACEMENT_S), limit)
                continue
            (write,) = world.propose(leader)
            read = world.read(leader)
            world.run_until(world.now + 0.75)
            if write.answer == "done" and read.answer == "done" and self._level(leader):
                self._all_answered()
                return leader
        raise NoProgressError(f"no recovery within {RECOVERY_S} s")

    def _level(self, leader: Host) -> bool:
        if not leader.node:
            return False
        members = leader.live.configuration.servers
        hosts = [self.world.hosts[s.id] for s in members]
        commit = leader.live.commit_index
        return all(host.node and host.live.applied_index == commit for host in hosts)

    def _replace_damaged(self, leader: Host) -> bool:
        """What an operator does: remove the server, empty its disk, add it. True while at it."""
        world, node = self.world, leader.live
        if "snapshot" in leader.disk.flipped:
            world.storage.take_snapshot(leader.name)
        for host in world.hosts.values():
            member = node.configuration.get(host.name) is not None
            if host.damage and member:
                change = Change(ChangeKind.REMOVE_SERVER, host.name, host.address)
                world.change(leader, change)
                return True
            if host.damage and node.committed_configuration.get(host.name) is None:
                world.wipe(host.name)
                world.start(host.name)
                self._replacing.add(host.name)
            if host.name in self._replacing:
                votes = node.configuration.is_voter(host.name)
                if votes and node.configuration_index <= node.commit_index:
                    self._replacing.discard(host.name)
                    world.coverage.met("a damaged server was replaced")
                    continue
                wanted = Server(host.name, host.address)
                world.change(leader, _taking_in(wanted, node.configuration))
                return True
        return False

    def _all_answered(self) -> None:
        world = self.world
        asleep = max(host.paused_until for host in world.hosts.values())
        world.run_until(max(world.now, asleep) + 2.0)
        for handle in world.handles:
            if world.hosts[handle.host].incarnation == handle.incarnation:
                expect(bool(handle.answer), f"{handle} at {handle.host} was never answered")

    # -- phase 3 ----------------------------------------------------------------------------

    def _be_quiet(self, leader: Host) -> None:
        """A server that comes back, or was removed unawares, must not unseat the leader.

        A leader that is cut off must step down, and another one must be there.
        """
        world, quiet = self.world, self.plan.quiet
        voters = leader.live.configuration.voters() if leader.node else ()
        if quiet == "none" or len(voters) < 3 or not leader.live.leader:
            return
        if quiet == "full":
            self._lose_a_leader_beside_full_disks(leader)
            return
        if quiet == "asleep":
            self._ask_a_leader_that_was_asleep(leader)
            return
        chosen = [s.id for s in voters if s.id != leader.name]
        victim = Random(f"quiet {self.plan.seed}").choice(chosen)
        if quiet == "alone":
            victim = leader.name
        term = leader.live.term
        if quiet == "deaf":
            world.network.blocked[leader.name, victim] = True
        else:
            world.network.isolated = victim
        world.note(f"{victim} is cut off for 2.5 s ({quiet})")
        if quiet == "removed":
            world.change(leader, Change(ChangeKind.REMOVE_SERVER, victim, f"{victim}:1"))
        world.run_until(world.now + 2.5)
        if quiet == "alone":
            expect(leader.live.leader is None, f"{victim} leads on although nobody answers")
            found = world.leader()
            expect(found is not None, f"nobody took over from {victim}")
            leader = found or leader
            term = leader.live.term
        world.network.isolated = ""
        world.network.blocked.clear()
        world.note(f"{victim} is back")
        world.run_until(world.now + 2.0)
        stays = leader.node is not None and leader.live.leader and leader.live.term == term
        expect(bool(stays), f"{victim} came back and unseated {leader.name}, leader of term {term}")
        world.coverage.met(_QUIET[quiet])

    def _ask_a_leader_that_was_asleep(self, leader: Host) -> None:
        """Its clock has run on: it must not answer from the past in the moment it wakes."""
        world, seconds = self.world, 12 * self.plan.settings.election_timeout_s
        world.note(f"{leader.name} is suspended for {seconds:g} s")
        world.suspend(leader.name, seconds)
        world.later(seconds, partial(self._read, leader))
        world.run_until(world.now + seconds / 2)
        other = world.leader()
        expect(other is not None and other is not leader, f"{leader.name} was not replaced")
        assert other is not None
        world.propose(other)
        world.run_until(world.now + seconds / 2 + 1.0)
        world.coverage.met(_QUIET["asleep"])

    def _read(self, host: Host) -> None:
        self.world.read(host)

    def _lose_a_leader_beside_full_disks(self, leader: Host) -> None:
        """The leader dies while others have no room, so that it takes a vote of theirs.

        Entries wait for room there, and votes must not wait behind them.
        """
        world, configuration = self.world, leader.live.configuration
        others = [s.id for s in configuration.voters() if s.id != leader.name]
        full = others[: len(others) + 1 - configuration.quorum()]
        roomy = [self.world.hosts[name] for name in others if name not in full]
        if not any(host.node and not host.live.machine_damaged for host in roomy):
            return  # the state of a leader must be right
        blocked = world.network.blocked
        if Random(f"quiet {self.plan.seed} ahead").random() < 0.5:  # what waits is theirs alone
            blocked.update({(leader.name, host.name): True for host in roomy})
        world.propose(leader, 3)
        for name in full:
            self._fill_in_the_midst(world.hosts[name])
        world.note(f"{' '.join(full)} have no room, and {leader.name} is gone")
        world.crash(leader.name)
        blocked.clear()
        world.run_until(world.now + 3.0)
        # Of those that are full and cannot lead, one may hold alone what it has acknowledged.
        held = max(world.hosts[name].disk.end for name in full)
        others_lack_it = held > max(host.disk.end for host in roomy)
        elected = world.leader() is not None or others_lack_it
        expect(elected, f"nobody was elected while {' '.join(full)} were full")
        for name in full:
            world.storage.set_full(name, full=False)
        world.revive(leader.name)
        world.run_until(world.now + 2.0)
        world.coverage.met(_QUIET["full"])

    def _fill_in_the_midst(self, host: Host) -> None:
        """The room ends while entries are being written, if any come."""
        world = self.world
        end = world.now + 0.02
        while not host.disk.busy and world.now < end:
            world.run_until(world.now + 0.0002)
        world.storage.set_full(host.name, full=True)

    # -- the end ----------------------------------------------------------------------------

    def _look_back(self) -> None:
        """What can only be judged at the end."""
        world, checker = self.world, self.world.checker
        for index, data in checker.acknowledged.items():
            term = checker.committed.get(index)
            kept = term is not None and checker.entries[index, term][0][3] == data
            expect(kept, f"the acknowledged write at {index} is gone")
        states: dict[int, bytes] = {}
        for host in world.running():
            digest = host.machine.store.digest()
            known = states.setdefault(host.machine.index, digest)
            expect(known == digest, f"{host.name} holds another state at {host.machine.index}")
        history = self._history()
        self._tell_lost(history)
        if not self.plan.clocks.lawful:
            history = [o for o in history if o.kind is not Kind.READ]
        result = check(history)
        expect(result.ok, str(result))

    def _history(self) -> list[Operation]:
        return self.recorder.history()

    def _tell_lost(self, history: list[Operation]) -> None:
        seen = {(o.key, o.value) for o in history if o.kind is Kind.READ}
        for operation in history:
            if operation.returned_at is None and (operation.key, operation.value) in seen:
                self.world.coverage.met("a write without an answer took effect")


def _taking_in(server: Server, known: Configuration) -> Change:
    """The next change on the way to a member: first without a vote, then with one if it is due."""
    if known.get(server.id) is None:
        return Change(ChangeKind.ADD_NONVOTER, server.id, server.address)
    return Change(ChangeKind.PROMOTE, server.id)
