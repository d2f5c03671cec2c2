"""One life of a cluster that loses servers, is recovered by force, and meets them again.

First everything goes wrong as it may. Then some servers are lost, or cut off from the others, and
operators recover those that are left: by a plan or by a peers.json, sometimes two operators who do
not know of each other. The left-out servers come back at any moment, with their old disks.

What must hold:
- nothing of a server of one epoch reaches a server of another one (`Network`), and each epoch is a
  cluster by itself (`Checker`);
- an acknowledged write that a survivor held is there afterwards, in each recovered cluster;
- indexes and fencing numbers that clients are told only rise, over all epochs;
- a recovered cluster has a leader, takes a write, and fills its members in bounded time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from quorate.errors import QuorateError
from quorate.raft import Change, ChangeKind, Settings
from quorate.raft.values.identity import Epoch
from quorate.recovery.survivors import compare
from quorate.testing.recovered.disks import look
from quorate.testing.recovered.operators import Group, by_list, by_plan, made_plan
from quorate.testing.recovered.truth import Truth
from quorate.testing.recovered.writers import Answered, Writer
from quorate.testing.sim.machines.hosts import Host, Weather
from quorate.testing.sim.machines.machine import write_command
from quorate.testing.sim.plans.plan import Topology
from quorate.testing.sim.verdicts.violations import NoProgressError, ViolationError, expect
from quorate.testing.sim.world import World

LED_S = 10.0  # virtual: twenty election timeouts after the servers that are needed have started
FILLED_S = 15.0
"""From then on until all members of a recovered cluster vote and have everything."""

WAYS = ("plan", "list", "two plans", "two lists", "another list", "plan and list")
SITUATIONS = (
    *(f"recovered by {way}" for way in WAYS),
    "a survivor had a longer log of an older term",
    "a survivor with older entries was not listed",
    "the left-out servers led on",
    "a plan was refused because a survivor had run meanwhile",
    "a left-out server was back before the recovery",
    "a left-out server was back after it",
    "a left-out server heard of a later epoch",
    "two recovered clusters met",
    "a cluster was recovered again",
    "a lock was held at the recovery",
    "an acknowledged write was held by no survivor",
    "a fence of the new epoch",
)
"""Lives are to come through these."""


class FailedRecoveryError(ViolationError):
    """A life in which something was wrong; its text tells the story and how to see it again."""

    def __init__(self, life: RecoveredLife, error: ViolationError) -> None:
        self.rule = str(error)
        world = life.world
        super().__init__(
            f"{error}\nseed {life.seed}, time {world.now:.4f}, trace {world.trace:08x}\n"
            f"{world.story()}\n" + "\n".join(life.told) + f"\n{error}\n"
            f"replay: python -m quorate.testing.recovered{life.option} --seed {life.seed}"
        )


class RecoveredLife:
    """See the module. `run` raises FailedRecoveryError."""

    option = ""  # of the command that replays it

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = Random(f"recovered {seed}")
        voters, nonvoters = rng.choice([2, 3, 3, 3, 4, 5]), rng.choice([0, 0, 0, 1])
        self.members = Topology(voters, nonvoters).members()
        settings = Settings(
            append_entries_max=rng.choice([1, 8, 512]),
            trailing_logs=rng.choice([0, 3, 20, 10240]),
        )
        names = [server.id for server in self.members.servers]
        self.world = world = World(f"recovered {seed}", names, settings, self.members)
        world.weather = Weather(
            disk=(0.0002, rng.choice([0.001, 0.01])), loss=rng.choice([0.0, 0.0, 0.02])
        )
        self.met: Counter[str] = Counter()
        self.told: list[str] = []
        self.answered: list[Answered] = []
        self.writers = [Writer(world, number, self.answered) for number in range(3)]
        self._down: set[str] = set()  # stopped by an operator, or lost: nobody starts them yet
        self._before: dict[Epoch, Epoch] = {}

    def run(self) -> RecoveredLife:
        """All of it; itself."""
        try:
            self._live()
            self._look_back()
        except ViolationError as error:
            raise FailedRecoveryError(self, error) from error
        return self

    def _live(self) -> None:
        world, rng = self.world, self.rng
        cluster = list(world.hosts.values())
        for host in cluster:
            world.start(host.name)
        for writer in self.writers:
            writer.begin()
        self._wait(lambda: any(host.machine.store.level for host in cluster), LED_S, "a level")
        for number in range(rng.choice([1, 1, 1, 2])):
            self.met["a cluster was recovered again"] += number
            self._trouble(cluster)
            survivors = self._disaster(cluster)
            left = [host for host in cluster if host not in survivors]
            try:
                groups = self._recover(survivors, left)
            except QuorateError as error:
                raise ViolationError(f"an operator cannot recover: {error}") from error
            led = self._go_on(groups, left)
            if not led or len(led[0].hosts) < 2:
                return
            cluster = list(led[0].hosts)

    def _tell(self, text: str) -> None:
        self.told.append(f"{self.world.now:8.4f} s  {text}")
        self.world.note(text)

    def _wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the world go on until that is so. Raises NoProgressError."""
        end = self.world.now + seconds
        while not condition():
            if self.world.now > end:
                raise NoProgressError(f"not within {seconds} s: {what}")
            self.world.run_until(self.world.now + 0.1)

    # -- before it --------------------------------------------------------------------------

    def _trouble(self, cluster: Sequence[Host]) -> None:
        """Crashes, snapshots, and leaders that are cut off."""
        world, rng = self.world, self.rng
        seconds = rng.uniform(1.0, 3.0)
        for _ in range(rng.randint(1, 5)):
            act = rng.choice(["crash", "snapshot", "snapshot", "strand"])
            world.later(rng.uniform(0, seconds), partial(self._act, act, cluster))
        world.run_until(world.now + seconds)

    def _act(self, act: str, cluster: Sequence[Host]) -> None:
        getattr(self, f"_{act}")(cluster)

    def _crash(self, cluster: Sequence[Host]) -> None:
        host = self.rng.choice(cluster)
        if host.node:
            self.world.crash(host.name)
            self.world.later(self.rng.uniform(0.01, 0.8), partial(self._revive, host))

    def _revive(self, host: Host) -> None:
        if host.name not in self._down:
            self.world.revive(host.name)

    def _snapshot(self, cluster: Sequence[Host]) -> None:
        host = self.rng.choice(cluster)
        if host.node:
            self.world.storage.take_snapshot(host.name)

    def _strand(self, cluster: Sequence[Host]) -> Host | None:
        """The leader is cut off, and takes writes that it cannot commit; it is returned."""
        leader = leader_among(cluster)
        if leader is None:
            return None
        self._part([leader], [host for host in cluster if host is not leader])
        for number in range(self.rng.choice([2, 10, 40])):
            command = write_command("autopilot", 10_000 + number)
            self.world.for_host(
                leader, 0.01 * number, partial(self.world.propose_commands, leader, [command])
            )
        self.world.later(self.rng.uniform(1.2, 2.5), self.world.network.blocked.clear)
        return leader

    def _part(self, some: Sequence[Host], others: Sequence[Host]) -> None:
        for one in some:
            for other in others:
                self.world.network.blocked[one.name, other.name] = True
                self.world.network.blocked[other.name, one.name] = True

    def _disaster(self, cluster: Sequence[Host]) -> list[Host]:
        """Some are lost or cut off; the operator stops those that are left, which are returned."""
        world, rng = self.world, self.rng
        stranded = self._strand(cluster) if rng.random() < 0.5 else None
        if stranded is not None:
            world.run_until(world.now + rng.uniform(0.6, 1.2))
        survivors = rng.sample(list(cluster), rng.randint(1, max(len(cluster) - 1, 1)))
        if stranded is not None and stranded not in survivors and rng.random() < 0.7:
            survivors.append(stranded)
        left = [host for host in cluster if host not in survivors]
        if cut_off := rng.random() < 0.5:
            self._part(left, survivors)
        for host in left if not cut_off else ():
            world.later(rng.uniform(0, 0.3), partial(self._stop, host))
        for host in survivors:
            world.later(rng.uniform(0, 1.0), partial(self._stop, host))
        self._tell(f"{_names(left)} {'are cut off' if cut_off else 'are lost'}")
        world.run_until(world.now + 1.0)
        return survivors

    def _stop(self, host: Host) -> None:
        self._down.add(host.name)
        if host.node:
            self.world.crash(host.name)

    # -- the recovery -----------------------------------------------------------------------

    def _recover(self, survivors: list[Host], left: Sequence[Host]) -> list[Group]:
        """What one operator or two do."""
        rng = self.rng
        for host in left:
            if rng.random() < 0.3:
                self.met["a left-out server was back before the recovery"] += 1
                self._come_back(host)
        self._look_at(survivors)
        way = rng.choice(WAYS[:2] if len(survivors) < 2 else WAYS)
        at = rng.randint(1, max(len(survivors) - 1, 1))
        one, two = survivors[:at], survivors[at:]
        if way == "plan":
            groups = [self._by_plan(survivors, left)]
        elif way == "list":
            groups = [self._by_list(survivors, survivors)]
        elif way == "two plans":
            groups = [self._by_plan(one, ()), self._by_plan(two, ())]
        elif way == "two lists":
            groups = [self._by_list(one, one), self._by_list(two, two)]
        elif way == "another list":
            groups = [self._by_list(one, survivors), self._by_list(two, two)]
        else:
            groups = [self._by_plan(one, ()), self._by_list(two, two)]
        self.met[f"recovered by {way}"] += 1
        epochs = [group.epoch for group in groups]
        expect(len(set(epochs)) == len(epochs), f"recovered apart, and of one epoch: {epochs[0]}")
        for group in groups:
            names = _names(group.hosts)
            self._tell(f"{names} are recovered to epoch {group.epoch}: {group.configuration}")
        return groups

    def _look_at(self, survivors: Sequence[Host]) -> None:
        """Count what this recovery has to cope with."""
        for host in survivors:
            host.disk.load()
        truth = Truth(self.world, survivors)
        checker = self.world.checker_of(survivors[0])
        self.met["an acknowledged write was held by no survivor"] += any(
            index not in truth.holders for index in checker.acknowledged
        )
        longest = max(survivors, key=lambda host: host.disk.end[1])
        newest = max(host.disk.end[0] for host in survivors)
        self.met["a survivor had a longer log of an older term"] += longest.disk.end[0] < newest
        self.met["a lock was held at the recovery"] += truth.has_lock

    def _by_plan(self, hosts: Sequence[Host], left: Sequence[Host]) -> Group:
        before = hosts[0].disk.epoch
        plan = made_plan(hosts, self.rng)
        if left and self.rng.random() < 0.3 and self._runs_once_more(hosts, left):
            self.met["a plan was refused because a survivor had run meanwhile"] += 1
            try:
                by_plan(self.world, hosts, self.members, plan)
            except QuorateError:
                plan = made_plan(hosts, self.rng)
            else:
                raise ViolationError("a plan is applied to a server that has run since")
        group = by_plan(self.world, hosts, self.members, plan)
        self._before[group.epoch] = before
        return group

    def _runs_once_more(self, hosts: Sequence[Host], left: Sequence[Host]) -> bool:
        """A survivor is started by mistake, among the left-out ones; whether its log went on."""
        host = self.rng.choice(hosts)
        before = host.disk.end
        self.world.network.blocked.clear()
        for other in (host, *left):
            self._come_back(other)
        self.world.run_until(self.world.now + self.rng.uniform(0.5, 2.0))
        self._stop(host)
        host.disk.load()
        return host.disk.end != before

    def _by_list(self, hosts: Sequence[Host], named: Sequence[Host]) -> Group:
        before = hosts[0].disk.epoch
        listed = compare([look(host) for host in named]).configuration()
        if not any(listed.get(host.name) for host in hosts):
            listed = compare([look(host) for host in hosts]).configuration()
        group = by_list(self.world, hosts, listed)
        self.met["a survivor with older entries was not listed"] += len(group.hosts) < len(hosts)
        self._before[group.epoch] = before
        return group

    # -- after it ---------------------------------------------------------------------------

    def _come_back(self, host: Host) -> None:
        self._down.discard(host.name)
        self.world.revive(host.name)

    def _go_on(self, groups: Sequence[Group], left: Sequence[Host]) -> list[Group]:
        """Start them all; those that can lead do, in bounded time; they are returned."""
        world, rng = self.world, self.rng
        leading = [host for host in left if host.node and host.live.leader]
        self.met["the left-out servers led on"] += bool(leading)
        for host in left:
            self.met["a left-out server was back after it"] += host.name in self._down
            world.later(rng.uniform(0, 3.0), partial(self._come_back, host))
        world.later(rng.uniform(0, 3.0), world.network.blocked.clear)
        for group in groups:
            for host in group.first():
                self._come_back(host)
        able = [group for group in groups if group.can_lead]
        self.met["two recovered clusters met"] += len(able) > 1
        for group in able:
            self._lead(group)
        for host in world.hosts.values():
            self._come_back(host)
        for group in able:
            self._fill(group)
        world.run_until(world.now + 3.5)
        for group in able:
            leader = leader_among(group.hosts)
            expect(leader is not None, f"epoch {group.epoch} has lost its leader")
        self._expect_fenced()
        if able:
            self.members = able[0].hosts[0].live.configuration
        return able

    def _expect_fenced(self) -> None:
        """All that know each other have met: none leads that was left out."""
        running = self.world.running()
        for host in running:
            counter, known = host.disk.epoch.counter, host.live.configuration
            out = any(o.disk.epoch.counter > counter and known.get(o.name) for o in running)
            expect(not (out and host.live.leader), f"{host.name} leads on, and was left out")
            self.met["a left-out server heard of a later epoch"] += out and bool(host.live.prepared)

    def _lead(self, group: Group) -> None:
        """A leader comes up, which has all that is held, and takes a write."""
        what = f"a leader of epoch {group.epoch} that takes a write"

        def written() -> bool:
            leader = leader_among(group.hosts)
            if leader is None:
                return False
            group.truth.expect_held_by(leader.name)
            expect(not group.leads or leader.name == group.leads, f"{leader.name} leads, unplanned")
            (write,) = self.world.propose_commands(leader, [write_command("scheduler", 1)])
            self.world.run_until(self.world.now + 0.3)
            return write.answer == "done"

        self._wait(written, LED_S, what)

    def _fill(self, group: Group) -> None:
        """All of them get what the leader has, and the votes that they had."""

        def filled() -> bool:
            leader = leader_among(group.hosts)
            if leader is None:
                return False
            node = leader.live
            for host in group.hosts:
                if host.node is None or host.live.applied_index < node.commit_index:
                    return False
                votes = node.configuration.is_voter(host.name)
                if self.members.is_voter(host.name) and not votes:
                    self.world.change(leader, Change(ChangeKind.PROMOTE, host.name))
                    return False
            return node.configuration_index <= node.commit_index

        # Those that write must not outrun what is looked at.
        for writer in self.writers:
            writer.rests = True
        self._wait(filled, FILLED_S, f"all of epoch {group.epoch} to be filled and to vote")
        for writer in self.writers:
            writer.rests = False

    # -- the end ----------------------------------------------------------------------------

    def _look_back(self) -> None:
        for checker in (self.world.checker, *self.world.epochs.values()):
            for index, data in checker.acknowledged.items():
                term = checker.committed.get(index)
                kept = term is not None and checker.entries[index, term][0][3] == data
                expect(kept, f"the acknowledged write at {index} is gone")
        for epoch in self._before:
            told = [each for each in self.answered if each.epoch == epoch]
            self.met["a fence of the new epoch"] += sum(each.fence for each in told)
            lowest = min((each.at for each in told), default=None)
            before = self._before.get(epoch)
            while lowest is not None and before is not None:
                highest = max((e.at for e in self.answered if e.epoch == before), default=0)
                expect(
                    highest < lowest,
                    f"a client was told index {lowest} by epoch {epoch}, after {highest} by the "
                    f"epoch {before} before it",
                )
                before = self._before.get(before)


def leader_among(hosts: Sequence[Host]) -> Host | None:
    """The leader of the highest term among these."""
    leaders = [host for host in hosts if host.node and host.live.leader]
    return max(leaders, key=lambda host: host.live.term, default=None)


def _names(hosts: Sequence[Host]) -> str:
    return " ".join(host.name for host in hosts) or "none"
