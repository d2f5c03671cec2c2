"""One life of a cluster whose survivors are recovered while they run, in two steps.

Some servers are lost, or cut off. One operator or two, with plans of their own, prepare the
survivors that they name, in any order, and have the plans carried out. Servers are killed between
the steps, and within the second one; those that are left out come back at the worst moment, and may
lead the old cluster again with survivors that are not prepared.

What must hold beyond what every recovery must (`life`):
- a server that is prepared has the log that its plan has found, until the plan is carried out;
- once the survivor that decides has begun, all that its plan names follow, and none goes on in the
  old epoch;
- of two plans for one server at most one is carried out;
- plans that are not carried out are given up in time, and the old cluster goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from quorate.errors import QuorateError
from quorate.raft.events import Prepared
from quorate.raft.values.identity import EPOCH_BITS
from quorate.recovery import plan as plans
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members, SnapshotLine
from quorate.recovery.plan import Plan
from quorate.recovery.survivors import compare
from quorate.recovery.two_steps import Lead, has_begun, unprepared, why_not_given_up
from quorate.testing.recovered.disks import look
from quorate.testing.recovered.life import FILLED_S, LED_S, RecoveredLife, leader_among
from quorate.testing.recovered.operators import Group, apply
from quorate.testing.recovered.truth import Truth
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.meetings import CLUSTER
from quorate.testing.sim.verdicts.violations import ViolationError, expect

ACT_S = 6.0  # as long as operators try
GIVEN_UP_S = 4.0
_LOOK_S = 0.2
LIVE_SITUATIONS = (
    "a plan was carried out live",
    "no plan was carried out live",
    "two plans were carried out live",
    "a server was refused its preparation",
    "a server was prepared for one plan, and refused another",
    "the one that decides waited for another one",
    "a prepared server was killed",
    "a server was killed as it carried the plan out",
    "a plan was given up",
    "a prepared server may not give up",
    "a left-out server was back meanwhile",
    "two operators had two plans",
)


class LiveLife(RecoveredLife):
    """See the module. `run` raises FailedRecoveryError."""

    option = " --live"

    def _live(self) -> None:
        world, rng = self.world, self.rng
        self._away_s = rng.choice([0.02, 0.3, 1.0])  # an answer takes up to this
        self._ready: dict[str, tuple[Plan, list[str], float]] = {}
        self._asked: dict[str, int] = {}
        self._groups: dict[str, Group] = {}  # by digest: plans that have begun
        cluster = list(world.hosts.values())
        for host in cluster:
            world.start(host.name)
        for writer in self.writers:
            writer.begin()
        self._wait(lambda: any(host.machine.store.level for host in cluster), LED_S, "a level")
        self._trouble(cluster)
        survivors, left = self._lose(cluster)
        if leader_among(survivors) is not None or any(host.node is None for host in survivors):
            return
        chosen = self._plans(survivors)
        for plan in chosen:
            self._operate(plan)
        for host in survivors:
            self._look_later(host)
        for host in left:
            if rng.random() < 0.5:
                self.met["a left-out server was back meanwhile"] += 1
                world.later(rng.uniform(0, ACT_S), partial(self._come_back, host))
        if rng.random() < 0.5:
            world.later(rng.uniform(0, ACT_S), world.network.blocked.clear)
        for _ in range(rng.choice([0, 1, 3])):
            world.later(rng.uniform(0, ACT_S), partial(self._kill, rng.choice(survivors)))
        world.run_until(world.now + ACT_S)
        self._end(cluster, chosen)

    def _lose(self, cluster: Sequence[Host]) -> tuple[list[Host], list[Host]]:
        """So many voters are lost, or cut off, that those that are left elect no leader."""
        world, rng = self.world, self.rng
        voters = [host for host in cluster if self.members.is_voter(host.name)]
        few = rng.randint(1, self.members.quorum() - 1) if len(voters) > 1 else 1
        kept = rng.sample(voters, few)
        survivors = [h for h in cluster if h in kept or h not in voters]
        left = [host for host in cluster if host not in survivors]
        if rng.random() < 0.5:
            self._part(left, survivors)
        else:
            for host in left:
                self._stop(host)
        world.run_until(world.now + 2.5)
        return survivors, left

    def _plans(self, survivors: Sequence[Host]) -> list[Plan]:
        """The plans of one operator, or of two."""
        rng = self.rng
        named = [survivors]
        if rng.random() < 0.4:
            self.met["two operators had two plans"] += 1
            if len(survivors) > 1 and rng.random() < 0.5:
                at = rng.randint(1, len(survivors) - 1)
                named = [survivors[:at], survivors[at:]]
            else:
                named.append(rng.sample(list(survivors), rng.randint(1, len(survivors))))
        return [
            plans.make(compare([facts(host) for host in hosts]), rng.randbytes(EPOCH_BITS))
            for hosts in named
        ]

    def _operate(self, plan: Plan) -> None:
        """Prepare all, some of them late or never at first, and have the plan carried out."""
        world, rng = self.world, self.rng
        known = {each.server_id for each in plan.survivors}
        lost = [server.id for server in self.members.voters() if server.id not in known]
        for each in plan.survivors:
            host = world.hosts[each.server_id]
            for _ in range(rng.choice([1, 4, 8])):
                at = rng.uniform(0, ACT_S * 0.7)
                world.later(at, partial(self._prepare, host, plan, lost))
        for _ in range(rng.choice([2, 8, 16])):
            world.later(rng.uniform(0, ACT_S), partial(self._decide, plan))

    # -- the first step ---------------------------------------------------------------------

    def _prepare(self, host: Host, plan: Plan, lost: list[str]) -> None:
        if host.node is None or host.disk.epoch != plan.epochs[0]:
            return
        ready = self._ready.get(host.name)
        if ready is not None:
            self.met["a server was prepared for one plan, and refused another"] += (
                ready[0].digest != plan.digest
            )
            return
        try:
            expect_no_leader(host)
            plans.check(plan, facts(host), lost)
        except QuorateError:
            self.met["a server was refused its preparation"] += 1
            return
        host.driver.step(Prepared("prepared"))
        until = self.world.now + self.rng.choice([0.5, 3.0, ACT_S])
        self._when_durable(host, partial(self._prepared, host, (plan, lost, until)))

    def _when_durable(self, host: Host, then: Callable[[], None]) -> None:
        """When all of its log is on its disk, unless it is killed before."""
        node = host.live
        if node.log.stable_index == node.log.last_index and not host.disk.queue:
            then()
        else:
            self.world.for_host(host, 0.01, partial(self._when_durable, host, then))

    def _prepared(self, host: Host, ready: tuple[Plan, list[str], float]) -> None:
        host.disk.prepared = "prepared"
        self._ready[host.name] = ready
        self._tell(f"{host.name} is prepared for epoch {ready[0].epochs[1]}")

    def _kill(self, host: Host) -> None:
        if host.node:
            self.met["a prepared server was killed"] += host.name in self._ready
            self._asked.pop(host.name, None)
            self.world.crash(host.name)
            self.world.later(self.rng.uniform(0.01, 1.0), partial(self._revive, host))

    # -- the second step --------------------------------------------------------------------

    def _says(self, asker: Host, host: Host) -> str:
        """The digest of the plan for which it is prepared, as it answers the asker."""
        if not self._reaches(asker, host) or host.disk.epoch != asker.disk.epoch:
            return ""
        self._asked[host.name] = self._asked.get(host.name, 0) + 1
        ready = self._ready.get(host.name)
        return ready[0].digest if ready is not None else ""

    def _reaches(self, one: Host, other: Host) -> bool:
        blocked = self.world.network.blocked
        cut = (one.name, other.name) in blocked or (other.name, one.name) in blocked
        return one.node is not None and other.node is not None and not cut

    def _decide(self, plan: Plan) -> None:
        """The survivor that decides is asked to carry the plan out."""
        lead = self.world.hosts[plan.leads]
        if lead.node is None or self._plan_of(lead) is not plan:
            return
        told: dict[str, str] = {}
        for each in plan.survivors:
            other = self.world.hosts[each.server_id]
            self.world.for_host(lead, self._delay(), partial(self._hear, lead, other, told))
        self.world.for_host(lead, 2 * self._away_s, partial(self._decided, lead, plan, told))

    def _hear(self, lead: Host, other: Host, told: dict[str, str]) -> None:
        told[other.name] = self._says(lead, other)

    def _decided(self, lead: Host, plan: Plan, told: dict[str, str]) -> None:
        if self._plan_of(lead) is not plan:
            return
        if unprepared(plan, told):
            self.met["the one that decides waited for another one"] += 1
            return
        hosts = [self.world.hosts[each.server_id] for each in plan.survivors]
        truth = Truth(self.world, hosts)
        group = Group(hosts, plan.configuration(), plan.epochs[1], truth, plan.leads)
        self._groups[plan.digest] = group
        self._before[group.epoch] = plan.epochs[0]
        self._carry_out(lead)
        truth.expect_held_by(plan.leads)

    def _carry_out(self, host: Host) -> None:
        """The recovery of its disk, between two nodes of one process, or of two if it is killed."""
        world, (plan, lost, _) = self.world, self._ready.pop(host.name)
        expect(not host.disk.queue, f"{host.name} is prepared, and its log not durable")
        expect(plan.digest in self._groups, f"{host.name} begins before the one that decides")
        world.crash(host.name, lucky=False)
        host.disk.prepared = ""
        try:
            plans.check(plan, look(host), lost)
        except QuorateError as error:
            raise ViolationError(f"{host.name} was prepared, and has changed: {error}") from error
        truth = self._groups[plan.digest].truth
        whole = plan.takes_all_of(host.name)
        apply(world, host, truth, plan.configuration(), plan.epochs[1], whole=whole)
        self._tell(f"{host.name} goes on in epoch {plan.epochs[1]}")
        killed = self.rng.random() < 0.2
        self.met["a server was killed as it carried the plan out"] += killed
        world.later(self.rng.uniform(0.1, 1.0) if killed else 0.001, partial(self._come_back, host))

    # -- by itself --------------------------------------------------------------------------

    def _look_later(self, host: Host) -> None:
        self.world.later(_LOOK_S * self.rng.uniform(0.5, 1.5), partial(self._look, host))

    def _look(self, host: Host) -> None:
        """What each prepared server does again and again (`server.recovery.live`)."""
        self._look_later(host)
        plan = self._plan_of(host)
        if host.node is None or plan is None:
            return
        late = self.world.now > self._ready[host.name][2]
        if plan.leads == host.name:
            if late:
                self._give_up(host)
            return
        lead, asked = self.world.hosts[plan.leads], self._asked.get(host.name, 0)
        sent = partial(self._ask_lead, host, lead, plan, asked)
        self.world.for_host(host, self._delay(), sent)

    def _ask_lead(self, host: Host, lead: Host, plan: Plan, asked: int) -> None:
        found = None
        if self._reaches(host, lead):
            found = Lead(lead.disk.epoch, self._says(host, lead))
        answer = partial(self._heard_lead, host, plan, found, asked)
        self.world.for_host(host, self._delay(), answer)

    def _heard_lead(self, host: Host, plan: Plan, lead: Lead | None, asked: int) -> None:
        if self._plan_of(host) is not plan:
            return
        if has_begun(plan, lead):
            self._carry_out(host)
        elif self.world.now > self._ready[host.name][2]:
            since = self._asked.get(host.name, 0) != asked
            if why_not_given_up(plan, lead, asked_since=since):
                self.met["a prepared server may not give up"] += 1
            else:
                self._give_up(host)

    def _give_up(self, host: Host) -> None:
        plan = self._ready.pop(host.name)[0]
        host.disk.prepared = ""
        host.driver.step(Prepared(""))
        self.met["a plan was given up"] += 1
        self._tell(f"{host.name} gives epoch {plan.epochs[1]} up")

    def _plan_of(self, host: Host) -> Plan | None:
        ready = self._ready.get(host.name)
        return ready[0] if ready is not None else None

    def _delay(self) -> float:
        return self.rng.uniform(0.001, self._away_s)

    # -- the end ----------------------------------------------------------------------------

    def _end(self, cluster: Sequence[Host], chosen: Sequence[Plan]) -> None:
        """All come back. A plan that has begun is carried out by all; the others are given up."""
        world = self.world
        world.network.blocked.clear()
        for host in cluster:
            self._come_back(host)
        self._wait(lambda: not self._ready, FILLED_S, "all plans to be carried out or given up")
        for plan in chosen:
            group = self._groups.get(plan.digest)
            if group is None:
                continue
            behind = [host.name for host in group.hosts if host.disk.epoch != group.epoch]
            expect(not behind, f"epoch {group.epoch} has begun without {behind}, which it names")
        self.met["two plans were carried out live"] += len(self._groups) > 1
        self.met["a plan was carried out live"] += bool(self._groups)
        self.met["no plan was carried out live"] += not self._groups
        for group in self._groups.values():
            self._lead(group)
            self._fill(group)
        if not self._groups:
            self._wait(
                lambda: leader_among(cluster) is not None, LED_S + GIVEN_UP_S, "the old leader"
            )
        for host in cluster:
            counter = host.disk.epoch.counter
            out = any(group.epoch.counter > counter for group in self._groups.values())
            alone = host.node is not None and (out or not host.node.prepared)
            expect(alone, f"{host.name} does not run, or is prepared for good")


def expect_no_leader(host: Host) -> None:
    """Raise QuorateError if there is one."""
    if host.live.leader is not None or host.live.leader_id:
        raise QuorateError(f"there is a leader: {host.live.leader_id}")


def facts(host: Host) -> FolderSummary:
    """What a running server says of itself (`quorate.recovery.looking.told`)."""
    node = host.live
    log, members = node.log, node.configuration.servers
    found = FolderSummary(
        kind=Kind.QUORATE.value,
        path=host.name,
        server_id=host.server_id,
        cluster_id=CLUSTER,
        region="global",
        epoch=host.disk.epoch,
        last_index=log.last_index,
        last_term=log.last_term,
        term=node.term,
        commit_known=node.commit_index,
        members=Members(
            node.configuration_index,
            tuple(Member(s.id, s.address, s.is_voter, s.key) for s in members),
        ),
    )
    if log.snapshot_index:
        found.snapshot = SnapshotLine(
            id="",
            index=log.snapshot_index,
            term=log.snapshot_term,
            size=0,
            members=found.members,
        )
    return found
