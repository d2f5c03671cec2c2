"""Writes down what each server of a simulated cluster does with log, snapshot and configuration.

As `spec_recorder`, but for spec/SnapshotConfiguration.tla, which is about one server: a life gives
a trace for each. A recorder looks at a node after each of its steps, at its disk whenever a write
or a snapshot is done, and at its starts. It only names actions and what is there after them:
whether they were possible, and lead to that, is for TLC to say (spec/SnapshotTrace.tla).

Two things are known only in the end, when the life is over: the log that is committed, and up to
where each leader committed its own. The latter is what it was `sure` of: every later leader has
it. Requests are written down with the term of their leader, and get the index then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from unittest.mock import patch

from spec_recorder import quiet, recordable

from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.codec import configurations_in
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    InstallSnapshotResponse,
)
from quorate.testing.sim.life import Life
from quorate.testing.sim.machines.disk import Snapshot
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import draw
from quorate.testing.sim.verdicts.violations import ViolationError
from quorate.testing.sim.world import World
from quorate.wire.raft import membership as codec


class Item(NamedTuple):
    """An entry: its term, and the number of its configuration, 0 if it carries none."""

    term: int
    conf: int


class Point(NamedTuple):
    """A snapshot, or (0, 0, 0, 0) for none."""

    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int = 0
    conf: int = 0
    conf_index: int = 0


class Seen(NamedTuple):
    """What is there after a step: of the log `first` to `last`, and the entries after `keep`.

    Those up to `keep` are what they were before. `disk` is the log found on the disk, at a start.
    """

    first: int = 1
    last: int = 0
    keep: int = 0
    tail: tuple[Item, ...] = ()
    base: tuple[int, int] = (0, 0)
    commit: int = 0
    applied: int = 0
    in_force: tuple[int, int] = (0, 0)
    agreed: tuple[int, int] = (0, 0)
    snapshot: Point = Point()
    disk: tuple[int, tuple[Item, ...]] | None = None


class Step(NamedTuple):
    """An action, its arguments, and what was seen after it; nothing in the midst of a step.

    `term` is that of the leader who sent it, `sure` up to where that leader was, `prev`,
    `prev_term` and `items` what it sent.
    """

    what: str
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int = 0
    sure: int = 0
    prev: int = 0
    prev_term: int = 0
    items: tuple[Item, ...] = ()
    waits: bool = False
    point: Point = Point()
    seen: Seen | None = None


class ServerTrace(NamedTuple):
    """What one server did in a life. `broken` is what the simulator's own checks said."""

    seed: int
    server: str
    good: tuple[Item, ...]
    founder: bool
    steps: tuple[Step, ...]
    broken: str = ""


@dataclass
class Followed:
    """One server as recorded so far."""

    steps: list[Step] = field(default_factory=list)
    log: dict[int, Item] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    incarnation: int = 1
    owed: int = 0  # changes of the log that the next write carries
    writes: deque[int] = field(default_factory=deque)  # how many each write carries
    queue: deque[dict[int, Item]] = field(default_factory=deque)  # the log after each change
    disk: dict[int, Item] = field(default_factory=dict)
    incoming: list[Snapshot] = field(default_factory=list)
    own: Snapshot | None = None  # stored, and not told of yet
    led: bool = False
    compared: int = 0  # up to here it has taken what a leader sent, since its start
    before: dict[int, Item] = field(default_factory=dict)  # the log when it was seen last


class SnapshotRecorder:
    """See the module."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.good: dict[int, Item] = {}
        self.committed_by: Counter[int] = Counter()  # term of a leader -> highest index
        self.servers: dict[str, Followed] = {}
        self._numbers: dict[Any, int] = {}
        self._patches = ExitStack()
        for name, host in world.hosts.items():
            log = {entry.index: self._item(entry) for entry in host.disk.log}
            conf = (log[1].conf, 1) if log else (0, 0)
            seen = Seen(last=len(log), keep=len(log), in_force=conf)
            self.servers[name] = Followed(log=log, disk=log, before=log, seen=seen)
            self.good |= log

    def __enter__(self) -> Self:
        world = self.world
        start, store = world.start, world.storage.store_snapshot
        receive = world.storage.receive_snapshot

        def started(name: str) -> None:
            start(name)
            self._look_for_restart(world.hosts[name])

        def begun(host: Host, point: Any, *more: Any) -> None:
            self._note(host, Step("begin", point=self._point(*point)))
            store(host, point, *more)

        def received(host: Host, reply_to: Any, *more: Any) -> None:
            self.servers[host.name].incoming.append(reply_to.snapshot)
            receive(host, reply_to, *more)

        for owner, name, new in [
            (world, "start", started),
            (world.storage, "store_snapshot", begun),
            (world.storage, "receive_snapshot", received),
        ]:
            self._patches.enter_context(patch.object(owner, name, new))
        for host in world.hosts.values():
            self._watch_disk(host)
        world.watch = self._stepped
        return self

    def __exit__(self, *_: object) -> None:
        self.world.watch = None
        self._patches.close()

    def _watch_disk(self, host: Host) -> None:
        write, store = host.disk.write, host.disk.store_snapshot

        def written(persist: fx.Persist) -> None:
            write(persist)
            if persist.sequence:  # else term and vote alone: see `Disk.write_ahead`
                self._synced(self.servers[host.name])

        def stored(snapshot: Snapshot) -> None:
            store(snapshot)
            self._stored(host, snapshot)

        self._patches.enter_context(patch.object(host.disk, "write", written))
        self._patches.enter_context(patch.object(host.disk, "store_snapshot", stored))

    def trace(self, seed: int, name: str, founder: bool, broken: str) -> ServerTrace:
        """What `name` did, now that the life is over."""
        good: list[Item] = []
        while (index := len(good) + 1) in self.good:
            good.append(self.good[index])
        steps = self.servers[name].steps
        sure = {term: max(self._up_to(term)) for term in {step.term for step in steps}}
        found = tuple(s._replace(sure=min(sure[s.term], len(good))) for s in steps)
        return ServerTrace(seed, name, tuple(good), founder, found, broken)

    def _up_to(self, term: int) -> list[int]:
        return [0, *(index for by, index in self.committed_by.items() if by <= term)]

    # -- numbers ----------------------------------------------------------------------------

    def _number(self, configuration: Configuration) -> int:
        if not configuration.servers:
            return 0
        return self._numbers.setdefault(configuration.servers, len(self._numbers) + 1)

    def _item(self, entry: Entry) -> Item:
        for _, configuration in configurations_in((entry,), codec):
            return Item(entry.term, self._number(configuration))
        return Item(entry.term, 0)

    def _point(self, index: int, term: int, configuration: Configuration, where: int) -> Point:
        return Point(index, term, self._number(configuration), where)

    # -- the disk ---------------------------------------------------------------------------

    def _synced(self, server: Followed) -> None:
        for _ in range(server.writes.popleft() if server.writes else 0):
            self._sync(server)

    def _sync(self, server: Followed) -> None:
        server.disk = server.queue.popleft()
        server.steps.append(Step("sync"))

    def _stored(self, host: Host, snapshot: Snapshot) -> None:
        server = self.servers[host.name]
        if any(snapshot is each for each in server.incoming):
            self._note(host, Step("arrive", index=snapshot.index))
        else:
            server.own = snapshot

    # -- steps ------------------------------------------------------------------------------

    def _note(self, host: Host, step: Step) -> None:
        self.servers[host.name].steps.append(step)

    def _stepped(self, host: Host, event: Any, effects: list[Any]) -> None:
        self._look_for_restart(host)
        server = self.servers[host.name]
        persists = [effect for effect in effects if isinstance(effect, fx.Persist)]
        steps = self._actions(host, event, effects, persists)
        self._read_log(server, host, persists)
        for step in steps:
            if step.what == "take":
                server.compared = max(server.compared, step.prev + len(step.items))
            if step.waits:
                server.owed += 1
                server.queue.append(server.log)
        self._learn_good(server, host, event)
        self._see(server, host, steps)
        for persist in persists:
            assert persist is persists[0], "two writes in one step"
            server.writes.append(server.owed)
            server.owed = 0

    def _actions(
        self, host: Host, event: Any, effects: list[Any], persists: list[fx.Persist]
    ) -> list[Step]:
        """What the step was, in the order in which the code does it."""
        server, node = self.servers[host.name], host.live
        commit = node.commit_index
        agreed = commit if commit > max(server.seen.commit, server.compared) else 0
        steps = self._from_leader(event, effects, persists, agreed)
        steps = steps or self._from_itself(server, persists)
        if isinstance(event, ev.SnapshotStored):
            assert server.own is not None, "a snapshot that was never stored"
            own, server.own = server.own, None
            stored = self._meta(own)
            if stored.index > server.seen.snapshot.index:  # else it only compacts once more
                steps.append(Step("store", point=stored))
        elif isinstance(event, ev.SnapshotReceived):
            if event.ok:
                steps.append(_received(event, effects, persists))
        elif node.commit_index > server.seen.commit:
            steps.append(Step("commit", index=node.commit_index))
        if node.applied_index > server.seen.applied:
            steps.append(Step("apply", index=node.applied_index))
        for persist in persists:
            if persist.compact_to:
                steps.append(Step("compact", index=persist.compact_to, waits=True))
        return steps

    def _from_leader(
        self, event: Any, effects: list[Any], persists: list[fx.Persist], agreed: int
    ) -> list[Step]:
        """What was taken. `agreed` is a new commit index above all that was taken, or 0.

        A server without room refuses the entries, and knows all the same that its log is the
        leader's up to where they begin.
        """
        request = getattr(event, "request", None)
        if not isinstance(request, AppendEntriesRequest) or request.is_heartbeat:
            return []
        entries = request.entries
        if not _granted(effects + [e for p in persists for e in p.then]):
            if not agreed:
                return []
            entries = tuple(entry for entry in entries if entry.index <= agreed)
        step = Step(
            "take",
            term=request.term,
            prev=request.prev_log_index,
            prev_term=request.prev_log_term,
            items=tuple(self._item(entry) for entry in entries),
            waits=any(_granted(persist.then) for persist in persists),
        )
        return [step]

    def _from_itself(self, server: Followed, persists: list[fx.Persist]) -> list[Step]:
        """What a leader adds to its own log."""
        steps = []
        for persist in persists:
            if persist.entries:
                prev = persist.entries[0].index - 1
                prev_term = server.log[prev].term if prev in server.log else server.seen.base[1]
                step = Step(
                    "take",
                    term=persist.entries[0].term,
                    prev=prev,
                    prev_term=prev_term,
                    items=tuple(self._item(entry) for entry in persist.entries),
                    waits=True,
                )
                steps.append(step)
        return steps

    def _learn_good(self, server: Followed, host: Host, event: Any) -> None:
        node = host.live
        old, new = server.seen.commit, node.commit_index
        for index in range(old + 1, new + 1):
            if index in server.log:
                self.good.setdefault(index, server.log[index])
        leads = node.leader is not None or server.led
        if new > old and leads and not isinstance(event, ev.RequestReceived):
            self.committed_by[node.term] = max(self.committed_by[node.term], new)
        server.led = node.leader is not None

    # -- what is there ----------------------------------------------------------------------

    def _meta(self, snapshot: Snapshot | None) -> Point:
        if snapshot is None:
            return Point()
        where = snapshot.configuration_index
        return self._point(snapshot.index, snapshot.term, snapshot.configuration, where)

    def _read_log(self, server: Followed, host: Host, persists: list[fx.Persist]) -> None:
        """Take the node's log as it is, if it may have changed."""
        log = host.live.log
        seen = server.seen
        changed = any(p.entries or p.reset_to or p.truncate_from or p.compact_to for p in persists)
        if not changed and (seen.first, seen.last) == (log.first_index, log.last_index):
            return
        found: dict[int, Item] = {}
        while (low := log.first_index + len(found)) <= log.last_index:
            entries = log.entries(low, log.last_index + 1, 512, 1 << 30)
            found |= {entry.index: self._item(entry) for entry in entries}
        server.log = found

    def _see(self, server: Followed, host: Host, steps: list[Step]) -> None:
        """Add steps, and to the last of them what is there now."""
        seen = self._seen(server, host)
        if not steps:
            if seen == server.seen._replace(keep=seen.last, tail=()):
                return
            steps = [Step("nothing")]  # which no action explains
        steps[-1] = steps[-1]._replace(seen=seen)
        server.steps += steps
        server.seen, server.before = seen, server.log

    def _seen(self, server: Followed, host: Host) -> Seen:
        node = host.live
        log, before = server.log, server.before
        keep = node.log.last_index
        while keep in log and log[keep] != before.get(keep):
            keep -= 1
        return Seen(
            node.log.first_index,
            node.log.last_index,
            keep,
            tuple(log[index] for index in range(keep + 1, node.log.last_index + 1)),
            (node.log.snapshot_index, node.log.snapshot_term),
            node.commit_index,
            node.applied_index,
            (self._number(node.configuration), node.configuration_index),
            (self._number(node.committed_configuration), node.committed_configuration_index),
            self._meta(host.disk.snapshot),
        )

    # -- starts -----------------------------------------------------------------------------

    def _look_for_restart(self, host: Host) -> None:
        # A start with a full disk is a start and a step: the step is seen first.
        server = self.servers[host.name]
        if host.incarnation != server.incarnation:
            server.incarnation = host.incarnation
            self._restarted(server, host)

    def _restarted(self, server: Followed, host: Host) -> None:
        found = {entry.index: self._item(entry) for entry in host.disk.log}
        # A write of which nobody was told may be durable nevertheless.
        while server.disk != found and found in server.queue:
            self._sync(server)
        server.queue.clear()
        server.writes.clear()
        server.incoming.clear()
        server.owed, server.own, server.led, server.compared = 0, None, False, 0
        server.disk, server.before = found, {}  # all of the log is told anew
        if host.node is None:
            return
        server.log = {} if host.node.log.superseded else found
        seen = self._seen(server, host)
        first = min(found, default=1)
        server.seen = seen
        disk = (first, tuple(found[index] for index in sorted(found)))
        server.steps.append(Step("restart", seen=seen._replace(disk=disk)))
        if host.node.log.superseded:
            server.owed = 1
            server.queue.append({})
        server.before = server.log


def _granted(effects: Iterable[Any]) -> bool:
    """True if a leader's entries or snapshot are acknowledged among `effects`."""
    return any(
        isinstance(effect, fx.Reply)
        and isinstance(effect.response, AppendEntriesResponse | InstallSnapshotResponse)
        and effect.response.success
        for effect in effects
    )


def _received(event: ev.SnapshotReceived, effects: list[Any], persists: list[fx.Persist]) -> Step:
    """The body of a snapshot is here."""
    index = event.request.last_log_index
    if not _granted(effects + [e for p in persists for e in p.then]):
        return Step("ignore", index=index)
    return Step("install", index=index, waits=any(persist.reset_to for persist in persists))


def record_servers(seed: int) -> list[ServerTrace]:
    """The traces of all servers of a seed's life; none if it is not recordable."""
    plan = draw(seed)
    if not recordable(plan):
        return []
    life = Life(quiet(plan))
    broken = ""
    with SnapshotRecorder(life.world) as recorder:
        try:
            life.run()
        except (ViolationError, ValueError) as error:  # ValueError: a log that does not open
            broken = str(error).splitlines()[0]
    founders = {server.id for server in plan.members.servers}
    return [recorder.trace(seed, name, name in founders, broken) for name in recorder.servers]


def record_some_servers(count: int, first: int = 0) -> list[ServerTrace]:
    """The traces of all servers of the first `count` recordable seeds from `first` on."""
    found: list[ServerTrace] = []
    seed = first
    while count:
        traces = record_servers(seed)
        found += traces
        count -= bool(traces)
        seed += 1
    return found
