"""Which named situations a simulated cluster got into, so that what was never reached is seen.

Invariant: a situation is named here or cannot be counted; so every name has a count, if only zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from quorate.raft import Node
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.effects import Reason, Role
from quorate.raft.values import messages as msg
from quorate.raft.values.configuration import ChangeKind
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.verdicts.cluster import Handle

SITUATIONS = (
    # elections
    "two leaders of different terms at once",
    "a leader that was replaced took a write",
    "a leader that was replaced was asked for a read",
    "leader elected with uncommitted entries of older terms",
    "a single voter elected itself",
    "a slow server was elected",
    "an election without a winner",
    "a pre-candidate voted for another candidate",
    "a candidate found a leader of its term",
    "a server campaigned that its newest configuration gives no vote",
    "pre-vote refused because a leader was heard",
    "pre-vote refused because the log is behind",
    "pre-vote refused to a server without a vote",
    "vote refused because a leader was heard",
    "vote refused because the log is behind",
    "vote refused because it was given to another",
    "leader stepped down because no majority answered",
    "leader stepped down because its disk stood still",
    "leader learnt of a higher term",
    "a paused leader woke up replaced",
    # log
    "conflicting entries truncated",
    "an uncommitted configuration truncated",
    "an append refused because the logs did not meet",
    "committed before the leader's own disk had it",
    "entries of an older term committed by a later leader",
    "a request arrived twice",
    "a request arrived after a later one",
    "a crash lost unsynced writes",
    "a crash kept some unsynced writes",
    "a crash tore a write",
    "term and vote passed entries that had no room",
    "a flush failed, and what it had not written was still seen",
    "a torn write left some of its sectors",
    "a write that nobody was told of was durable",
    "a crash undid the growth of a file",
    "a crash lost a new file of the log",
    "a new file of the log lacked some of its first record",
    "a file of the log was removed",
    "a removed file of the log was back after a crash",
    "a log of several files was opened",
    "a start was cut off",
    # snapshots
    "log compacted",
    "snapshot sent to a peer far behind",
    "snapshot installed",
    "snapshot installed while a configuration was uncommitted",
    "snapshot that was old news",
    "log kept because it held all of a snapshot",
    "snapshot taken while a configuration was uncommitted",
    "snapshot taken while committed entries were not applied",
    "no snapshot taken of a row that had changed in memory",
    "snapshot restored at a start",
    "a log was replaced by its snapshot at a start",
    "the body of a snapshot was lost",
    "crashed between snapshot and log of an install",
    # membership
    "cluster founded by its servers",
    "cluster grown from one server",
    "member added",
    "member promoted",
    "member demoted",
    "member removed",
    "membership changed while a member was down",
    "leader removed itself",
    "leader removed itself while partitioned",
    "leader demoted itself",
    "change refused because one was pending",
    "change refused before the first commit of the term",
    "change refused because it is invalid",
    "change refused because another one came first",
    "change refused because too few voters would remain alive",
    "change lost with the leadership",
    "a configuration of one voter",
    "a configuration of two voters",
    # transfer
    "transfer succeeded",
    "transfer timed out",
    "transfer won by another server",
    "transfer refused for lack of a target",
    "write refused during a transfer",
    "TimeoutNow ignored",
    # reads
    "read served under the lease",
    "read served after a round",
    "read waited because the lease had run out",
    "read refused because leadership was lost",
    "servers with other settings than the others",
    "read refused by a server that does not lead",
    # disks, clocks, processes
    "write refused for a full disk",
    "write refused because the log was at its bound",
    "a server whose log was at its bound took a snapshot",
    "damaged entry found at a start",
    "damaged entry found while it ran",
    "damaged entry that is gone found at a start",
    "damaged entry that is gone found while it ran",
    "damaged setting found at a start",
    "damaged setting found while it ran",
    "damaged space behind the log found at a start",
    "damaged snapshot found at a start",
    "damaged snapshot found while it ran",
    "a damaged snapshot was found before it was sent",
    "a damaged server was replaced",
    "quorum lost to damage",
    "settings changed while a server ran",
    "a machine stood still, and its clock went on",
    "a machine stood still, and its clock with it",
    "a machine was suspended, and its timers with it",
    "read answered by a clock that had stood still",
    "a server was started on an earlier image of its disk",
    "a disk that was rolled back was named, and gave no vote",
    "a start was known from hearsay",
    "a server that had just got its vote greeted the others",
    "a server stood still while it greeted the others",
    "a copied disk was started beside the first",
    "a copied disk was named, and gave no vote",
    "a server was found to have a damaged state",
    "a leader was found to have a damaged state",
    "a damaged state was right again",
    "a clock jumped",
    "a leader's clock jumped",
    "clocks ran further apart than leases allow",
    # clients
    "a write without an answer took effect",
    "a compare-and-set was refused",
    "a client gave up waiting",
    # after the faults
    "a server came back without unseating the leader",
    "a server that was removed unawares did not unseat the leader",
    "a server that heard all but its leader did not unseat it",
    "a leader was cut off, and replaced for good",
    "a leader was replaced by votes of servers whose disks were full",
    "a leader was suspended, replaced, and asked when it went on",
)


class Around(Protocol):
    """The surroundings of the server that has moved."""

    now: float
    hosts: dict[str, Host]

    def running(self) -> list[Host]:
        """The hosts whose node runs."""

    def leader(self) -> Host | None:
        """The leader of the highest term, if any."""

    def is_parted(self, name: str) -> bool:
        """True if some link of this host is cut."""


class Step(NamedTuple):
    """One step of a node: what it was given, what it wants, and what it was before."""

    world: Around
    host: Host
    event: Any
    effects: list[Any]
    role: Role
    term: int
    commit_index: int
    configuration_index: int


Before = tuple[Role, int, int, int]
_REASONS = {
    Reason.STORAGE_FULL: "write refused for a full disk",
    Reason.LOG_AT_BOUND: "write refused because the log was at its bound",
    Reason.TRANSFERRING: "write refused during a transfer",
    Reason.CHANGE_PENDING: "change refused because one was pending",
    Reason.CHANGE_STALE: "change refused because another one came first",
    Reason.QUORUM_AT_RISK: "change refused because too few voters would remain alive",
    Reason.NOT_READY: "change refused before the first commit of the term",
    Reason.CHANGE_INVALID: "change refused because it is invalid",
    Reason.NO_TARGET: "transfer refused for lack of a target",
    Reason.TRANSFER_TIMED_OUT: "transfer timed out",
    Reason.TRANSFER_LOST: "transfer won by another server",
}
_CHANGES = {
    ChangeKind.ADD_VOTER: "member added",
    ChangeKind.ADD_NONVOTER: "member added",
    ChangeKind.DEMOTE_VOTER: "member demoted",
    ChangeKind.PROMOTE: "member promoted",
    ChangeKind.REMOVE_SERVER: "member removed",
}
_CAUSES = {
    "no majority answers": "leader stepped down because no majority answered",
    "its disk does not answer": "leader stepped down because its disk stood still",
}


class Coverage:
    """See the module."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(SITUATIONS, 0)

    def met(self, name: str) -> None:
        """The situation has come about. Raises KeyError for one that is not named above."""
        self.counts[name] += 1

    def crash(self, disk: SimDisk, kept: int) -> None:
        """A crash, of which the first `kept` waiting writes survive."""
        if kept:
            self.met("a crash kept some unsynced writes")
        if kept < len(disk.queue):
            self.met("a crash lost unsynced writes")

    def before(self, node: Node) -> Before:
        """The values of the node before its step, for `after`."""
        return (node.role, node.term, node.commit_index, node.configuration_index)

    def after(
        self, world: Around, host: Host, event: Any, effects: list[Any], before: Before
    ) -> None:
        """Look at what one step did."""
        kind = type(event)
        look = self._events.get(type(event.request) if kind is ev.RequestReceived else kind)
        node = host.live
        if look is None and not effects and node.commit_index == before[2]:
            return
        step = Step(world, host, event, effects, *before)
        if look:
            look(self, step)
        for effect in effects:
            see = self._effects.get(type(effect))
            if see:
                see(self, step, effect)
        if node.leader is not None and node.commit_index > step.commit_index:
            self._committed(node, step.commit_index)

    def _committed(self, node: Node, before: int) -> None:
        if node.log.stable_index < node.commit_index:
            self.met("committed before the leader's own disk had it")
        if (node.log.term(before + 1) or node.term) < node.term:
            self.met("entries of an older term committed by a later leader")

    # -- effects ----------------------------------------------------------------------------

    def _greet(self, _: Step, __: fx.Greet) -> None:
        self.met("a server that had just got its vote greeted the others")

    def _role(self, step: Step, effect: fx.RoleChanged) -> None:
        if effect.cause in _CAUSES:
            self.met(_CAUSES[effect.cause])
        if effect.role is Role.LEADER:
            self._elected(step.world, step.host)
        elif effect.role is Role.PRE_CANDIDATE:
            if step.role is Role.CANDIDATE:
                self.met("an election without a winner")
            if not step.host.live.is_voter():
                self.met("a server campaigned that its newest configuration gives no vote")
        elif effect.role is Role.FOLLOWER:
            self._follows(step, effect)

    def _elected(self, world: Around, host: Host) -> None:
        node = host.live
        if any(other.live.leader and other is not host for other in world.running()):
            self.met("two leaders of different terms at once")
        # Its own no-op is appended in the same step.
        if node.log.last_index - 1 > node.commit_index:
            self.met("leader elected with uncommitted entries of older terms")
        if len(node.configuration.voters()) == 1:
            self.met("a single voter elected itself")
        if host.lag:
            self.met("a slow server was elected")

    def _follows(self, step: Step, effect: fx.RoleChanged) -> None:
        host, world = step.host, step.world
        if effect.cause.endswith("campaigns too, and first"):
            self.met("a pre-candidate voted for another candidate")
        if step.role is Role.CANDIDATE and effect.term == step.term and effect.leader_id:
            self.met("a candidate found a leader of its term")
        if step.role is Role.LEADER and effect.term > step.term:
            self.met("leader learnt of a higher term")
            if 0 < host.paused_until <= world.now < host.paused_until + 0.2:
                self.met("a paused leader woke up replaced")
        if effect.cause == "has no vote in the committed configuration":
            if host.live.configuration.get(host.server_id):
                self.met("leader demoted itself")
                return
            self.met("leader removed itself")
            if world.is_parted(host.name):
                self.met("leader removed itself while partitioned")

    def _persist(self, step: Step, effect: fx.Persist) -> None:
        if effect.truncate_from:
            self.met("conflicting entries truncated")
            if step.configuration_index >= effect.truncate_from:
                self.met("an uncommitted configuration truncated")
        if effect.compact_to:
            self.met("log compacted")
        if any(type(released) is fx.RestoreSnapshot for released in effect.then):
            self.met("snapshot installed")
            if step.configuration_index > step.commit_index:
                self.met("snapshot installed while a configuration was uncommitted")

    def _rejected(self, _: Step, effect: fx.Rejected) -> None:
        if effect.reason in _REASONS:
            self.met(_REASONS[effect.reason])
        # The driver's own requests (a held leader that hands over) have handles of another class.
        kinds = {handle.kind for handle in effect.handles if isinstance(handle, Handle)}
        if effect.reason is Reason.LEADERSHIP_LOST:
            if "read" in kinds:
                self.met("read refused because leadership was lost")
            if "change" in kinds:
                self.met("change lost with the leadership")
        if effect.reason is Reason.NOT_LEADER and "read" in kinds:
            self.met("read refused by a server that does not lead")

    def _read(self, _: Step, effect: fx.ReadReady) -> None:
        self.counts["read served after a round"] += len(effect.handles)

    def _done(self, _: Step, effect: fx.Done) -> None:
        if effect.leader_id:
            self.met("transfer succeeded")

    def _install(self, _: Step, __: fx.SendSnapshot) -> None:
        self.met("snapshot sent to a peer far behind")

    def _configuration(self, step: Step, effect: fx.ConfigurationChanged) -> None:
        voters = len(effect.configuration.voters())
        if voters <= 2:
            self.met(f"a configuration of {'one voter' if voters == 1 else 'two voters'}")
        if type(step.event) is ev.ChangeRequested and not effect.committed:
            self.met(_CHANGES[step.event.change.kind])
            hosts = step.world.hosts
            members = [hosts[s.id] for s in effect.configuration.servers if s.id in hosts]
            if not all(host.node for host in members):
                self.met("membership changed while a member was down")

    # -- events -----------------------------------------------------------------------------

    def _asked(self, step: Step) -> None:
        node = step.host.live
        if node.leader is None:
            return
        newest = step.world.leader()
        replaced = newest is not None and newest.live.term > node.term
        if type(step.event) is ev.Propose:
            if replaced:
                self.met("a leader that was replaced took a write")
            return
        if replaced:
            self.met("a leader that was replaced was asked for a read")
        if node.leader.ready() and node.leader.lease_until() <= node.now:
            self.met("read waited because the lease had run out")

    def _timeout_now(self, step: Step) -> None:
        if step.host.live.role is not Role.CANDIDATE:
            self.met("TimeoutNow ignored")

    def _vote(self, step: Step) -> None:
        request, node = step.event.request, step.host.live
        answers = [effect.response for effect in step.effects if type(effect) is fx.Reply]
        if all(getattr(answer, "granted", True) for answer in answers):
            return
        pre = type(request) is msg.PreVoteRequest
        what = "pre-vote" if pre else "vote"
        if node.leader is not None or node.heard_recently():
            self.met(f"{what} refused because a leader was heard")
        elif pre and not node.configuration.is_voter(request.sender_id):
            self.met("pre-vote refused to a server without a vote")
        elif not node.log.up_to_date(request.last_log_index, request.last_log_term):
            self.met(f"{what} refused because the log is behind")
        elif not pre and node.hard_state.vote_term == request.term:
            self.met("vote refused because it was given to another")

    def _response(self, step: Step) -> None:
        response, node = step.event.response, step.host.live
        if type(response) is not msg.AppendEntriesResponse or response.success:
            return
        if node.leader is not None and response.term == node.term:
            self.met("an append refused because the logs did not meet")

    def _received(self, step: Step) -> None:
        event = step.event
        if not event.ok or event.request.term < step.host.live.term:
            return
        if event.request.last_log_index <= step.commit_index:
            self.met("snapshot that was old news")
        elif not any(type(e) is fx.Persist and e.reset_to for e in step.effects):
            self.met("log kept because it held all of a snapshot")

    _effects: ClassVar[dict[type, Callable[[Coverage, Step, Any], None]]] = {
        fx.RoleChanged: _role,
        fx.Persist: _persist,
        fx.Rejected: _rejected,
        fx.ReadReady: _read,
        fx.Done: _done,
        fx.SendSnapshot: _install,
        fx.Greet: _greet,
        fx.ConfigurationChanged: _configuration,
    }
    _events: ClassVar[dict[type, Callable[[Coverage, Step], None]]] = {
        ev.Propose: _asked,
        ev.ReadRequested: _asked,
        msg.PreVoteRequest: _vote,
        msg.RequestVoteRequest: _vote,
        msg.TimeoutNowRequest: _timeout_now,
        ev.ResponseReceived: _response,
        ev.SnapshotReceived: _received,
    }
