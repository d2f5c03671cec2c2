"""Writes down what the servers of a simulated cluster do, as steps of spec/Membership.tla.

A recorder looks at a node after each of its steps, at its disk whenever a write is done, and at
its starts. What has changed is told as actions of the specification, several if one step of the
code does what the specification takes apart (to commit, and to step down after the own removal).
It only names actions: whether they were allowed is for TLC to say.

What it cannot follow is left out by `recordable`: clusters that are founded while the trace runs,
and disks that are damaged or replaced. A trace ends before a vote of a server with a full disk that
goes by less than its log: the specification has no such vote.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Self
from unittest.mock import patch

from quorate.raft.codec import configurations_in
from quorate.raft.effects import Persist, Role
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    Entry,
    InstallSnapshotRequest,
    RequestVoteRequest,
)
from quorate.testing.sim.life import Life
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import ClientPlan, Plan, draw
from quorate.testing.sim.verdicts.violations import ViolationError
from quorate.testing.sim.world import World
from quorate.wire.raft import membership as codec

# A server before its campaign is a follower to the specification: pre-votes change nothing.
_ROLES = {
    Role.FOLLOWER: "follower",
    Role.PRE_CANDIDATE: "follower",
    Role.CANDIDATE: "candidate",
    Role.LEADER: "leader",
}
_FROM_LEADERS = AppendEntriesRequest | InstallSnapshotRequest


@dataclass(frozen=True)
class Item:
    """An entry as the specification sees it: its term, and a configuration if it carries one."""

    term: int
    voters: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry) -> Item:
        """Raises BadFrame."""
        for _, configuration in configurations_in((entry,), codec):
            return cls(entry.term, *members_of(configuration))
        return cls(entry.term)


def members_of(configuration: Configuration) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of voters and of other members."""
    voters = tuple(s.id for s in configuration.servers if s.is_voter)
    return voters, tuple(s.id for s in configuration.servers if not s.is_voter)


@dataclass(frozen=True)
class State:
    """What is compared of a server."""

    term: int = 0
    vote: str = ""
    role: str = "follower"
    commit: int = 0
    log: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Step:
    """One action: what it is, whose, its arguments, and the server before and after it.

    `configuration` is what is in force after it, where that can be seen: not between two actions
    that are one step of the code.
    """

    what: str
    server: str
    before: State
    after: State
    term: int = 0
    by: str = ""
    up_to: int = 0
    known: int = 0
    configuration: tuple[tuple[str, ...], tuple[str, ...]] | None = None


@dataclass
class Followed:
    """One server as recorded so far."""

    state: State
    durable: deque[State] = field(default_factory=deque)  # one for each change of `writes`
    writes: deque[int] = field(default_factory=deque)  # how many changes each write carries
    disk: State = field(default_factory=State)
    incarnation: int = 1  # the process that `state` is of


class Recorder:
    """See the module. `steps` grows up to `limit`; then the recorder is `full` and stops."""

    def __init__(self, world: World, limit: int) -> None:
        self.world = world
        self.limit = limit
        self.steps: list[Step] = []
        self.committed: list[Item] = []
        self.servers: dict[str, Followed] = {}
        self._patches = ExitStack()
        for name, host in world.hosts.items():
            log = tuple(Item.of(entry) for entry in host.disk.log)
            state = State(term=host.disk.hard_state.term, log=log)
            self.servers[name] = Followed(state, disk=state)

    def __enter__(self) -> Self:
        world = self.world
        start = world.start

        def started(name: str) -> None:
            start(name)
            self._look_for_restart(world.hosts[name])

        self._patches.enter_context(patch.object(world, "start", started))
        for host in world.hosts.values():
            self._watch_disk(host)
        world.watch = self._stepped
        return self

    def __exit__(self, *_: object) -> None:
        self.world.watch = None
        self._patches.close()

    def _watch_disk(self, host: Host) -> None:
        def written(persist: Persist) -> None:
            if persist.sequence == 0:  # not one of those that wait: see `Disk.write_ahead`
                self._passed(host.name)
            else:
                self._written(host.name)

        self._patches.enter_context(patch.object(host.disk, "on_durable", written))

    @property
    def full(self) -> bool:
        """True when nothing more is recorded."""
        return len(self.steps) >= self.limit

    # -- what is seen -----------------------------------------------------------------------

    def _stepped(self, host: Host, event: Any, effects: list[Any]) -> None:
        if self.full:
            return
        self._look_for_restart(host)
        server = self.servers[host.name]
        waiting, told = len(server.durable), len(self.steps)
        persists = [effect for effect in effects if isinstance(effect, Persist)]
        self._compare(host, event, persists)
        if len(self.steps) > told:
            self._see_configuration(host)
        changes = len(server.durable) - waiting
        for position in range(len(persists)):
            server.writes.append(changes if position == 0 else 0)

    def _written(self, name: str) -> None:
        server = self.servers[name]
        for _ in range(server.writes.popleft() if server.writes else 0):
            server.disk = server.durable.popleft()
            self._note(Step("sync", name, server.state, server.state))

    def _passed(self, name: str) -> None:
        """Term and vote of all writes that wait are durable, and no entry of theirs is."""
        server = self.servers[name]
        if any(state.log != server.disk.log for state in server.durable):
            self.limit = len(self.steps)
            return
        server.writes = deque(0 for _ in server.writes)
        while server.durable:
            server.disk = server.durable.popleft()
            self._note(Step("sync", name, server.state, server.state))

    def _look_for_restart(self, host: Host) -> None:
        # A start with a full disk is a start and a step: the step is seen first.
        server = self.servers[host.name]
        if host.incarnation != server.incarnation:
            server.incarnation = host.incarnation
            self._restarted(host)

    def _restarted(self, host: Host) -> None:
        server = self.servers[host.name]
        server.durable.clear()
        server.writes.clear()
        before = server.state
        index = host.disk.snapshot.index if host.disk.snapshot else 0
        disk = server.disk
        contained = tuple(self.committed[:index])
        if disk.log[:index] != contained:
            disk = replace(disk, log=contained)
        server.disk = disk
        server.state = replace(disk, role="follower", commit=index)
        what = "restart from snapshot" if index else "restart"
        self._note(Step(what, host.name, before, server.state, up_to=index))
        if host.node is not None and not self.full:
            self._see_configuration(host)

    def _see_configuration(self, host: Host) -> None:
        found = members_of(host.live.configuration)
        self.steps[-1] = replace(self.steps[-1], configuration=found)

    # -- what has happened ------------------------------------------------------------------

    def _compare(self, host: Host, event: Any, persists: list[Persist]) -> None:
        node = host.live
        old = self.servers[host.name].state
        hard = node.hard_state
        new = State(
            term=hard.term,
            vote=hard.voted_for if hard.vote_term == hard.term else "",
            role=_ROLES[node.role],
            commit=node.commit_index,
            log=self._log_after(old.log, persists),
        )
        if new == old:
            return
        request = getattr(event, "request", None)
        if old.term < node.term == node.acknowledges_from:
            self.limit = len(self.steps)  # it has voted by the durable part of its log
            return
        if new.vote and (new.term, new.vote) != (old.term, old.vote):
            if new.vote == host.name:
                self._do("campaign", host, replace(new, log=old.log, commit=old.commit))
            else:
                assert isinstance(request, RequestVoteRequest), "a vote without being asked"
                self._do("vote", host, new, term=new.term, by=new.vote)
        elif isinstance(request, _FROM_LEADERS):
            moved = new.log != old.log
            known = new.commit if new.commit != old.commit else 0
            up_to = len(new.log) if moved else known
            self._do("accept", host, new, term=new.term, up_to=up_to, known=known)
        elif new.term > old.term:
            self._do("hear", host, new, term=new.term)
        elif new.role == "leader" and old.role != "leader":
            self._do("lead", host, new)
        else:
            self._lead_on(host, old, new)

    def _lead_on(self, host: Host, old: State, new: State) -> None:
        """A leader's writes and what it commits; the end of leadership or candidacy."""
        now = old
        for item in new.log[len(old.log) :]:
            now = replace(now, log=(*now.log, item))
            self._do("change" if item.voters else "propose", host, now)
        if new.commit > old.commit:
            now = replace(now, commit=new.commit)
            self._do("commit", host, now, up_to=new.commit)
        if new.role != old.role:
            self._do("step down", host, new)

    def _log_after(self, log: tuple[Item, ...], persists: list[Persist]) -> tuple[Item, ...]:
        for persist in persists:
            if persist.reset_to:
                index = persist.reset_to[0]
                if log[:index] != tuple(self.committed[:index]) or len(log) < index:
                    log = tuple(self.committed[:index])
            if persist.truncate_from:
                log = log[: persist.truncate_from - 1]
            log += tuple(Item.of(entry) for entry in persist.entries)
        return log

    def _do(self, what: str, host: Host, after: State, **arguments: Any) -> None:
        server = self.servers[host.name]
        before = server.state
        server.state = after
        durable = (before.term, before.vote, before.log) != (after.term, after.vote, after.log)
        if durable:
            server.durable.append(after)
        if after.commit > len(self.committed):
            self.committed += after.log[len(self.committed) : after.commit]
        self._note(Step(what, host.name, before, after, **arguments))

    def _note(self, step: Step) -> None:
        if not self.full:
            self.steps.append(step)


@dataclass(frozen=True)
class Trace:
    """One recorded life. `broken` is what the simulator's own checks said, if anything."""

    seed: int
    founders: Configuration
    steps: list[Step]
    broken: str = ""


def recordable(plan: Plan) -> bool:
    """True if the recorder can follow the plan's life."""
    kinds = {action.kind for action in plan.actions}
    return plan.founding == "disks" and not kinds & {
        "flip",
        "flip_install",
        "wipe",
        "rollback",
        "copy",
    }


def quiet(plan: Plan) -> Plan:
    """The plan with few commands: logs are to be short, and rich in changes."""
    return replace(plan, clients=(ClientPlan(0, 0.5, 2.0),), wire=False)


def record(seed: int, limit: int) -> Trace | None:
    """The first `limit` steps of a seed's life; None if it is not recordable."""
    plan = draw(seed)
    if not recordable(plan):
        return None
    life = Life(quiet(plan))
    broken = ""
    with Recorder(life.world, limit) as recorder:
        try:
            life.run()
        except ViolationError as error:
            broken = str(error).splitlines()[0]
    assert plan.members.servers, "founded by nobody"
    return Trace(seed, plan.members, recorder.steps, broken)


def record_some(count: int, limit: int, first: int = 0) -> list[Trace]:
    """The traces of the first `count` recordable seeds from `first` on."""
    found: list[Trace] = []
    seed = first
    while len(found) < count:
        trace = record(seed, limit)
        found += [trace] if trace else []
        seed += 1
    return found
