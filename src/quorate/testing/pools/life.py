"""One life of a pool: servers come, move, die, are copied and slandered; then all must be well.

At the end every server that lives, and was not removed, votes at the place where it is; nothing
that was acknowledged is lost. What happens on the way is checked step by step by the world's rules
for Raft, and by `rules` for what leaders decide.
"""

from __future__ import annotations

from functools import partial
from random import Random

from quorate.gossip.messages import Dead, LeaveIntent, User
from quorate.levels import LEVEL
from quorate.raft import Change, ChangeKind, Configuration, Settings
from quorate.raft.effects import Reason
from quorate.raft.values.configuration import Server
from quorate.state.engine.commands import encode
from quorate.state.engine.table import Command
from quorate.state.tables import journal
from quorate.state.tables.servers import RecordRemoval, RecordServer, removed_at
from quorate.testing.pools.process import Process, address_of
from quorate.testing.pools.servers import Servers
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.host_actions import keep_log_short, settings_of_a_host
from quorate.testing.sim.verdicts.cluster import Handle
from quorate.testing.sim.verdicts.violations import NoProgressError, expect
from quorate.testing.sim.world import World
from quorate.wire import gossip

_REFUSED = tuple(
    reason.value
    for reason in (
        *(Reason.QUORUM_AT_RISK, Reason.CHANGE_PENDING, Reason.CHANGE_STALE, Reason.TRANSFERRING),
        *(Reason.NOT_READY, Reason.CHANGE_INVALID),
    )
)
IDS = "abcdefghijkl"
FAULTS_S = 25.0
RECOVERY_S = 60.0
"""Virtual seconds, from the end of the faults until all vote where they are."""


class PoolLife:
    """Plays a seed. Raises ViolationError."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(f"pool life {seed}")
        self.count = self.rng.choice([3, 3, 3, 4, 5])
        founders = IDS[: self.count]
        members = Configuration(
            tuple(Server(i, address_of(n)) for n, i in enumerate(founders, start=1))
        )
        settings = Settings(trailing_logs=self.rng.choice([3, 10240]))
        self.world = World(f"pool {seed}", IDS, settings, members)
        self.servers = Servers(self.world)
        # Drawn apart, so that a life is the same in all else. In some all know the newest level.
        self.programs = Random(f"programs of pool {seed}")
        self.upgrading = self.programs.random() < 0.5
        if self.upgrading:
            self.servers.levels = {i: self.programs.choice([0, LEVEL]) for i in IDS}
        self.unused = list(IDS[self.count :])
        self.gone: set[str] = set()  # IDs that never come back: wiped, removed, left
        self.down: dict[str, tuple[str, int]] = {}  # id -> name and place of its next start
        self.next_place = self.count
        for host in self.world.hosts.values():
            host.clock_offset = self.rng.uniform(0, 1000)
        self.hosts = Random(f"hosts of pool {seed}")
        self.share = self.hosts.random()
        if self.share < _WITH_FAULTS_OF_HOSTS:
            for host in self.world.hosts.values():
                host.clock_rate = self.hosts.uniform(1.0, 1.2)
                host.settings, host.snapshot_every = settings_of_a_host(self.hosts, settings)
        self.world.on_retire = self._retired

    def run(self) -> Servers:
        """All phases."""
        world = self.world
        for n, server_id in enumerate(IDS[: self.count], start=1):
            self.servers.start(server_id, f"s{n}", n)
        self.next_place += 1
        kinds = self.rng.choice((_KINDS, self.rng.sample(_KINDS, 3), *_THEMES))
        if self.share < _FAULTS_OF_HOSTS_ALONE:
            kinds = _OF_HOSTS
        elif self.share < _WITH_FAULTS_OF_HOSTS:
            kinds = (*kinds, *_OF_HOSTS)
        at = 3.0 + self.rng.random()
        while at < FAULTS_S:
            kind = self.rng.choice(kinds)
            world.later(at, partial(self._do, kind))
            at += self.rng.expovariate(1 / self.rng.choice([0.7, 2.0, 5.0]))
        self._write()
        world.run_until(FAULTS_S)
        self._heal()
        self._converge()
        self._look_back()
        return self.servers

    def story(self) -> str:
        """The story of a life: its actions, and what leaders decided and said."""
        return "\n".join(f"{at:9.3f} {text}" for at, text in self.servers.notes)

    # -- faults -----------------------------------------------------------------------------

    def _do(self, kind: str) -> None:
        text = getattr(self, f"_{kind}")()
        if text:
            self.servers.note(text)

    def _write(self) -> None:
        leader = self.servers.leader()
        if leader is not None and leader.host is not None:
            self.world.propose(leader.host)
        for host in self.world.running():
            keep_log_short(self.world, host)
        self.world.later(0.3, self._write)

    def _victim(self) -> Process | None:
        """Some server whose loss for good leaves a majority of all voters that can come back."""
        leader = self.world.leader()
        running = [p for p in self.servers.running() if not p.leaving]
        if leader is None or not running:
            return None
        configuration = leader.live.configuration
        lost = sum(self._is_lost(voter.id) for voter in configuration.voters())
        spare = len(configuration.voters()) - lost - configuration.quorum()
        steady = leader.live.configuration_index <= leader.live.commit_index
        return self.rng.choice(running) if spare > 0 and steady else None

    def _is_lost(self, server_id: str) -> bool:
        """It never comes back: it is gone, or will be when it hears that its disk is an old one."""
        return server_id in self.gone or self.world.hosts[server_id].disk.newer is not None

    def _later_start(self, server_id: str, name: str, place: int, pause: float) -> None:
        self.down[server_id] = (name, place)

        if self.upgrading and self.programs.random() < 0.5:
            self.servers.levels[server_id] = LEVEL

        def start() -> None:
            if self.down.get(server_id) == (name, place) and place not in self.servers.at:
                del self.down[server_id]
                self.servers.start(server_id, name, place)

        self.world.later(pause, start)

    def _new_place(self) -> int:
        self.next_place += 1
        return self.next_place

    def _pause(self) -> float:
        return self.rng.choice([0.05, 0.5, 3.0])

    def _kill(self) -> str:
        victim = self._victim()
        if victim is None:
            return ""
        self.servers.stop(victim)
        self._later_start(victim.id, victim.name, victim.place, self._pause())
        return f"{victim.name} is killed"

    def _move(self) -> str:
        victim = self._victim()
        if victim is None:
            return ""
        self.servers.stop(victim)
        self._later_start(victim.id, victim.name, self._new_place(), self._pause())
        return f"{victim.name} moves"

    def _rename(self) -> str:
        victim = self._victim()
        if victim is None:
            return ""
        self.servers.stop(victim)
        name = f"{victim.name}x"
        place = self.rng.choice([victim.place, self._new_place()])
        self._later_start(victim.id, name, place, self._pause())
        return f"{victim.name} is called {name}"

    def _trade(self) -> str:
        running = [p for p in self.servers.running() if not p.leaving]
        if len(running) < 2:
            return ""
        group = self.rng.sample(running, self.rng.choice([2, min(3, len(running))]))
        places = [p.place for p in group]
        for process in group:
            self.servers.stop(process)
        for process, place in zip(group, places[1:] + places[:1], strict=True):
            self._later_start(process.id, process.name, place, self._pause())
        return f"{', '.join(p.name for p in group)} trade places"

    def _wipe(self) -> str:
        victim = self._victim()
        if victim is None or not self.unused:
            return ""
        self.servers.stop(victim)
        self.gone.add(victim.id)
        fresh = self.unused.pop(0)
        self._later_start(fresh, victim.name, victim.place, self._pause())
        return f"{victim.name} is wiped, and is {fresh} from now on"

    def _grow(self) -> str:
        if not self.unused or len(self.servers.running()) > 5:
            return ""
        fresh, place = self.unused.pop(0), self._new_place()
        self.servers.start(fresh, f"s{place}", place)
        return f"s{place} is new"

    def _leave(self) -> str:
        victim = self._victim()
        if victim is None or len(self.servers.running()) < 4:
            return ""

        over = False

        def answered(why: str) -> None:
            nonlocal over
            if over or not victim.up:
                return
            over = True
            if why:  # it stops all the same, and is expected back
                self.servers.stop(victim)
                self._later_start(victim.id, victim.name, victim.place, 1.0)
                return
            self.gone.add(victim.id)
            self.servers.rules.met["a server left by itself"] += 1
            assert victim.member is not None
            victim.member.leave(lambda: self.servers.stop(victim))

        self.servers.leave(victim, answered)
        self.world.later(4.0, lambda: answered("no answer in time"))
        return f"{victim.name} leaves"

    def _remove(self) -> str:
        """Operators remove servers, maybe two at once: only the guard of the quorum stops them."""
        leader = self.servers.leader()
        if leader is None or leader.host is None:
            return ""
        members = leader.host.live.configuration
        others = [
            process
            for process in self.servers.running()
            if process is not leader and not process.leaving and members.get(process.id)
        ]
        if not others:
            return ""
        victims = self.rng.sample(others, min(len(others), self.rng.choice([1, 1, 2])))
        for victim in victims:
            self._remove_one(leader, victim)
        return f"operators remove {', '.join(v.name for v in victims)}"

    def _remove_one(self, leader: Process, victim: Process) -> None:
        world, host = self.world, leader.host
        assert host is not None

        def record(command: Command) -> Handle:
            return world.propose_commands(host, [encode(command)])[0]

        names = {"server_id": victim.id, "name": victim.name, "address": victim.address}
        leader.removing.add(victim.id)
        written = record(RecordRemoval(**names))

        def remove(answer: str, _: object) -> None:
            if answer == "done" and host.node and host.live.configuration.get(victim.id):
                world.change(host, Change(ChangeKind.REMOVE_SERVER, victim.id)).on_answer = removed
            else:
                leader.removing.discard(victim.id)

        def removed(answer: str, _: object) -> None:
            leader.removing.discard(victim.id)
            if answer == "done":
                self.gone.add(victim.id)
                self.servers.rules.met["a member was removed by an operator"] += 1
                if self.rng.random() < 0.5:
                    world.later(1.0, lambda: self.servers.stop(victim))
            elif answer.startswith(_REFUSED) and host.node:
                self.servers.note(f"{victim.name} is not removed: {answer}")
                record(RecordServer(**names))

        written.on_answer = remove

    def _copy(self) -> str:
        running = [p for p in self.servers.running() if not p.leaving]
        if not running:
            return ""
        original, place = self.rng.choice(running), self._new_place()
        copy = self.servers.start(original.id, f"copy{place}", place, replica=False)
        self.world.later(self.rng.choice([3.0, 10.0]), lambda: self.servers.stop(copy))
        if self.rng.random() < 0.5:  # the original is away for a while, as when it was copied
            self.servers.stop(original)
            self._later_start(original.id, original.name, original.place, self._pause())
        return f"the folder of {original.name} is copied to place {place}"

    def _clone(self) -> str:
        """A folder is copied, and a second process runs on the copy, with a replica of its own."""
        victim = self._whole()
        if victim is None or f"{victim.id}+" in {p.key for p in self.servers.at.values()}:
            return ""
        host, place = victim.host, self._new_place()
        assert host is not None
        image = host.disk.image()

        def begin() -> None:
            known = self.servers.process_of(host)
            if known is not None and self._may_be_old(known, image):
                after = self.hosts.choice([0.001, 0.03, 0.1]) / host.clock_rate
                self.servers.start_copy(known, image, f"copy{place}", place, after)

        if self.hosts.random() < 0.5:
            begin()
        else:  # the server is started again meanwhile, so that its copy is older than it
            self._restart(victim)
            self.world.later(self.hosts.uniform(1.0, 3.0), begin)
        return f"the folder of {victim.name} is copied for a replica at place {place}"

    def _rollback(self) -> str:
        """An image of a machine is taken; later it is started from that."""
        victim = self._whole()
        if victim is None or victim is not self._victim_of(victim.id):
            return ""
        host = victim.host
        assert host is not None
        image = host.disk.image()
        self._restart(victim)

        def put_back() -> None:
            known = self._victim_of(victim.id)
            if known is None or not self._may_be_old(known, image):
                return
            if not self.world.meetings.may_start(host, image.start):
                return
            self.servers.stop(known)
            after = self.hosts.choice([0.001, 0.03, 0.1]) / host.clock_rate
            self.servers.start_rolled_back(known, image, after)

        self.world.later(self.hosts.uniform(1.0, 3.0), put_back)
        return f"an image is taken of the disk of {victim.name}"

    def _restart(self, process: Process) -> None:
        self.servers.stop(process)
        self._later_start(process.id, process.name, process.place, self.hosts.uniform(0.05, 0.5))

    def _whole(self) -> Process | None:
        """Some server whose machine runs."""
        running = [p for p in self.servers.running() if not p.leaving and p.id not in self.gone]
        whole = [p for p in running if self.servers.halted(p) <= 0]
        return self.hosts.choice(whole) if whole else None

    def _victim_of(self, server_id: str) -> Process | None:
        """The server of that ID, if its loss for good leaves a majority."""
        leader = self.world.leader()
        if leader is None or leader.live.configuration_index > leader.live.commit_index:
            return None
        configuration = leader.live.configuration
        lost = sum(self._is_lost(voter.id) for voter in configuration.voters())
        spare = len(configuration.voters()) - lost - configuration.quorum()
        found = [p for p in self.servers.running() if p.id == server_id and not p.leaving]
        return found[0] if found and spare > 0 and self.unused else None

    def _may_be_old(self, known: Process, image: SimDisk) -> bool:
        """It still runs on the disk of which the image was taken, and is a member."""
        leader, host = self.world.leader(), known.host
        if leader is None or host is None or known.is_copy or self.world.now >= FAULTS_S:
            return False
        same = host.disk.generation == image.generation and known.id not in self.gone
        return same and leader.live.configuration.get(known.id) is not None

    def _retired(self, host: Host) -> None:
        """A server was told that its folder is an old copy: it comes back as another one."""
        process = self.servers.process_of(host)
        if process is None:
            return
        what = "a copied folder" if host.of else "a folder that was rolled back"
        self.servers.rules.met[f"{what} was named, and gave no vote"] += 1
        self.servers.stop(process)
        if not host.of:
            self.gone.add(process.id)
        if self.unused:
            fresh = self.unused.pop(0)
            self._later_start(fresh, process.name, process.place, 0.5)

    def _halt(self) -> str:
        """A machine stands still, and its clocks go on or stop with it."""
        victim = self._whole()
        if victim is None:
            return ""
        world, seconds = self.world, self.hosts.choice([1.0, 3.0, 8.0, 40.0])
        still = self.hosts.choice([world.pause, world.suspend, world.freeze])
        still(victim.id, seconds)
        self._note_silence()
        world.later(seconds, self._note_silence)
        self.servers.rules.met["a machine stood still"] += 1
        return f"{victim.name} stands still for {seconds} s ({still.__name__})"

    def _note_silence(self) -> None:
        """From now on others are heard than before."""
        self.servers.rules.parted_at = self.world.now

    def _forge(self) -> str:
        running = self.servers.running()
        if not running:
            return ""
        victim = self.rng.choice(running)
        name = victim.directory.me.node
        times = self.rng.choice([1, 40])

        def slander() -> None:
            member = victim.member
            assert member is not None
            intent = LeaveIntent(ltime=member.node.clocks()[0] + 1, node=name, prune=False)
            left = Dead(member.node.incarnation + self.rng.choice([0, 1000]), name, name)
            self.servers.net.forge(member, User(gossip.encode_serf(intent)), left)

        for number in range(times):
            self.world.later(0.05 * number, slander)
        return f"{victim.name} is said to have left, {times} times"

    def _impostor(self) -> str:
        """A stranger joins the pool with the ID of a server, or of none, and is another one."""
        running = self.servers.running()
        if not running:
            return ""
        claimed = self.rng.choice([self.rng.choice(running).id, "nobody"])
        place = self._new_place()
        false = self.servers.start(claimed, f"false{place}", place, replica=False)
        false.answers_as = "stranger"
        self.world.later(self.rng.choice([3.0, 10.0]), lambda: self.servers.stop(false))
        return f"a stranger at place {place} says that it is {claimed}"

    def _cut(self) -> str:
        running = self.servers.running()
        if not running:
            return ""
        victim = self.rng.choice(running)
        self._part(victim.key)
        self.world.later(self.rng.choice([0.5, 2.0, 6.0]), lambda: self._part(""))
        return f"{victim.name} is cut off"

    def _part(self, key: str) -> None:
        self._note_silence()
        self.world.network.isolated = key

    # -- the end ----------------------------------------------------------------------------

    def _heal(self) -> None:
        self.servers.note("the faults end")
        self._part("")
        for process in list(self.servers.at.values()):
            if process.host is None or process.host.of or process.id in self.gone:
                self.servers.stop(process)
        if self.upgrading:
            self._upgrade_all()
        for server_id, (name, place) in list(self.down.items()):
            free = place if place not in self.servers.at else self._new_place()
            self._later_start(server_id, name, free, 0.1)

    def _upgrade_all(self) -> None:
        """Everything that lives is restarted with the newest program."""
        behind = [p for p in self.servers.running() if self.servers.levels[p.id] < LEVEL]
        self.servers.levels = dict.fromkeys(IDS, LEVEL)
        for process in behind:
            self.servers.stop(process)
            self.down[process.id] = (process.name, process.place)

    def _converge(self) -> None:
        world = self.world
        asleep = max(host.paused_until for host in world.hosts.values())
        end = max(world.now, asleep) + RECOVERY_S
        while world.now < end:
            world.run_until(world.now + 0.5)
            self._follow_advice()
            if not self._differences():
                return
        raise NoProgressError(f"not within {RECOVERY_S:g} s: {self._differences()}")

    def _follow_advice(self) -> None:
        """An operator removes the dead members that the leader names."""
        leader, rules = self.world.leader(), self.servers.rules
        if leader is None:
            return
        for server_id in sorted(rules.advised & self.gone):
            if leader.live.configuration.get(server_id) is not None:
                self.world.change(leader, Change(ChangeKind.REMOVE_SERVER, server_id))
                rules.met["a dead member was removed as the leader had advised"] += 1
                return

    def _differences(self) -> str:
        leader = self.world.leader()
        if leader is None:
            return "no leader"
        wanted = {p.id: p.address for p in self.servers.running() if p.id not in self.gone}
        configuration = leader.live.committed_configuration
        found = {s.id: s.address for s in configuration.voters() if s.id in wanted}
        if found != wanted:
            return f"these should vote: {wanted}; these do: {found}"
        store = leader.machine.store
        if marked := [s.id for s in configuration.servers if removed_at(store, s.id)]:
            return f"these are members, and marked as removed: {marked}"
        level = store.level
        all_here = {server.id for server in configuration.servers} == set(wanted)
        behind = all_here and level < LEVEL
        if behind:
            return f"all know level {LEVEL}, and the cluster is of level {level}"
        return self._not_told(leader) if level >= journal.JOURNAL_LEVEL else ""

    def _not_told(self, leader: Host) -> str:
        """What the journal lacks, or empty."""
        told = journal.told(leader.machine.store)
        if (told.term, told.leader) != (leader.live.term, leader.server_id):
            return f"{leader.server_id} leads in term {leader.live.term}, and {told} is told"
        members = {
            (s.id, s.address, s.is_voter) for s in leader.live.committed_configuration.servers
        }
        return "" if members == set(told.members) else f"{members} are members, and {told} is told"

    def _look_back(self) -> None:
        checker = self.world.checker
        for index, data in checker.acknowledged.items():
            term = checker.committed.get(index)
            kept = term is not None and checker.entries[index, term][0][3] == data
            expect(kept, f"the acknowledged write at {index} is gone")
        leader = self.world.leader()
        assert leader is not None
        records = journal.newest_first(leader.machine.store)
        elections = [each for each in records if each.kind == journal.ELECTION]
        terms = [int(dict(each.details)["term"]) for each in elections]
        expect(terms == sorted(set(terms), reverse=True), f"elections are told in terms {terms}")


_KINDS = (
    *("kill", "move", "trade", "wipe", "grow", "leave", "remove", "copy", "forge", "cut", "rename"),
    "impostor",
)
_OF_HOSTS = ("clone", "rollback", "halt")
# Shares of the lives.
_FAULTS_OF_HOSTS_ALONE = 0.2
_WITH_FAULTS_OF_HOSTS = 0.5
# Few kinds together, so that each has the time to unfold.
_THEMES = (
    ("copy", "kill"),
    ("copy", "move", "grow"),
    ("remove", "kill", "grow", "grow"),
    ("forge", "leave", "grow"),
    ("trade", "move", "rename"),
    ("wipe", "grow", "impostor"),
)
