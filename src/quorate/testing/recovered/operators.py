"""Operators who recover simulated survivors, by a plan or by a peers.json, and may differ.

Each has the disks of some stopped servers. All that is decided is decided by `quorate.recovery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import EPOCH_BITS, Epoch
from quorate.recovery import plan as plans
from quorate.recovery.epochs import asked
from quorate.recovery.peers_json import parse, text_of
from quorate.recovery.plan import Plan
from quorate.recovery.survivors import compare
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.testing.recovered.disks import look, recover
from quorate.testing.recovered.truth import Truth
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.verdicts.cluster import Checker
from quorate.testing.sim.verdicts.violations import ViolationError, expect
from quorate.testing.sim.world import World


class Group:
    """Servers that were recovered to one epoch. `leads`, after a plan, is who may lead at first."""

    def __init__(
        self,
        hosts: Sequence[Host],
        configuration: Configuration,
        epoch: Epoch,
        truth: Truth,
        leads: str = "",
    ) -> None:
        self.hosts = tuple(hosts)
        self.configuration = configuration
        self.epoch = epoch
        self.truth = truth
        self.leads = leads

    @property
    def can_lead(self) -> bool:
        """True if its servers have the votes of a majority."""
        votes = sum(self.configuration.is_voter(host.name) for host in self.hosts)
        return votes >= self.configuration.quorum()

    def first(self) -> list[Host]:
        """The servers to start first: beside the most advanced one just a majority of voters.

        So no leader comes up that lacks what the most advanced one has (docs/outage.md).
        """
        if self.leads:
            return [host for host in self.hosts if host.name == self.leads]
        order = sorted(self.hosts, key=lambda host: self.truth.ends[host.name], reverse=True)
        voters = [host for host in order if self.configuration.is_voter(host.name)]
        chosen = voters[: self.configuration.quorum()]
        return chosen if order[0] in chosen else [order[0], *chosen]


def made_plan(hosts: Sequence[Host], rng: Random) -> Plan:
    """A plan for these stopped hosts, read back from its file."""
    found = [look(host) for host in rng.sample(list(hosts), len(hosts))]
    made = plans.make(compare(found), rng.randbytes(EPOCH_BITS))
    return plans.decode(plans.encode(made), "plan.json")


def by_plan(world: World, hosts: Sequence[Host], members: Configuration, plan: Plan) -> Group:
    """All of these by the plan, with every check. Raises QuorateError if it is refused."""
    before, after = plan.epochs
    expect(after.counter > before.counter, f"epoch {before} is followed by {after}")
    left = [s.id for s in members.voters() if s.id not in {host.name for host in hosts}]
    names = {host.name: plans.check(plan, look(host), left).server_id for host in hosts}
    expect(set(names) == set(names.values()), f"the plan takes {names}")
    truth = Truth(world, hosts)
    for host in hosts:
        if 2 * len(left) > len(members.voters()):
            _refused(plan, host, left[1:], "without the name of a server that may have decided")
        apply(world, host, truth, plan.configuration(), after, whole=plan.takes_all_of(host.name))
        _refused(plan, host, left, "twice")
    truth.expect_held_by(plan.leads)
    return Group(hosts, plan.configuration(), after, truth, plan.leads)


def _refused(plan: Plan, host: Host, lost: Sequence[str], how: str) -> None:
    """The plan must not be taken."""
    try:
        plans.check(plan, look(host), lost)
    except QuorateError:
        return
    raise ViolationError(f"a plan is applied to {host.name} {how}")


def by_list(world: World, hosts: Sequence[Host], named: Configuration) -> Group:
    """Those of these that are named, by the same peers.json, apart.

    Raises QuorateError if it is refused.
    """
    data = text_of(named).encode()
    found = {host.name: look(host) for host in hosts}
    truth = Truth(world, hosts)
    epochs: set[Epoch] = set()
    listed = [host for host in hosts if named.get(host.name) is not None]
    for host in listed:
        peers = parse(data, "peers.json")
        configuration, epoch = asked(peers, "peers.json", found[host.name], host.address)
        expect(epoch.counter > host.disk.epoch.counter, f"{host.disk.epoch} is followed by {epoch}")
        expect(set(configuration.servers) == set(named.servers), f"{host.name} takes other servers")
        epochs.add(epoch)
        apply(world, host, truth, configuration, epoch, whole=True)
    expect(len(epochs) == 1, f"servers of one peers.json are of the epochs {epochs}")
    return Group(listed, named, epochs.pop(), truth)


def apply(
    world: World,
    host: Host,
    truth: Truth,
    configuration: Configuration,
    epoch: Epoch,
    *,
    whole: bool,
) -> None:
    """The recovery of one stopped host; it begins as a member of the new cluster."""
    recover(host, configuration, epoch, whole=whole)
    if whole:
        truth.expect_state(host)
    stored = host.disk.snapshot
    assert stored is not None, f"{host.name} was recovered"
    state = StateStore(TODAY)
    state.restore(stored.image())
    world.epochs.setdefault(epoch, Checker()).begin_at(stored.index, state.digest())
    world.note(f"{host.name} is recovered at {stored.index} to epoch {epoch}")
