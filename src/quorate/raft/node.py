"""One server of the Raft algorithm: `step` takes an event and the time, and returns effects.

Invariants (Raft Figure 3 and the thesis):
- at most one vote per term, and term and vote are durable before any answer or request that
  relies on them leaves;
- a leader never overwrites its own log; `commit_index` and the term never fall;
- the configuration in force is the newest in the log, committed or not;
- a server that heard from a leader within `election_timeout_s`, or started within that time, helps
  nobody else to be elected, except by a leadership transfer (pre-vote and lease rely on it);
- a server that has just started, or has just got its vote, helps nobody at all to be elected before
  it has greeted the other members (`greeting`).

The clock is the argument `now` (seconds, monotonic), randomness the given generator. Here is the
way of events; what a node knows is in `state`; the rules are in `election` (votes and campaigns),
`receiver` (appends and snapshots from a leader) and `leader` (replication) with `commitment`,
`reads`, `handover` and `membership`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from quorate.errors import BadFrame
from quorate.raft import receiver
from quorate.raft.effects import Done, Effect, Reason
from quorate.raft.events import (
    Applied,
    Bootstrap,
    ChangeRequested,
    Event,
    Greeted,
    LeaderUnreachable,
    MachineHeld,
    MachineState,
    Persisted,
    Prepared,
    Propose,
    ReadRequested,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    SnapshotDelivered,
    SnapshotReceived,
    SnapshotStored,
    StorageState,
    TermPersisted,
    Tick,
    TransferRequested,
)
from quorate.raft.roles import election, greeting, log_bound, membership, reads
from quorate.raft.roles import transfer as handover
from quorate.raft.roles.leader import Leader
from quorate.raft.state import NodeState
from quorate.raft.values import bounds
from quorate.raft.values.configuration import check_new
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    Entry,
    EntryKind,
    HardState,
    InstallSnapshotRequest,
    PreVoteRequest,
    RequestVoteRequest,
    TimeoutNowRequest,
)

_UNREACHABLE_SPREAD = 0.3
"""Share of the election timeout over which servers that saw their leader go campaign."""


class Node(NodeState):
    """See the module."""

    __slots__ = ()

    leader: Leader | None

    def _take_office(self) -> Leader:
        return Leader(self)

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event at time `now` and return what is to be done, in order.

        Raises BadFrame for a request that no correct peer sends: then nothing of the log has
        changed, and the request is to be refused. ConfigurationError only for Bootstrap.
        """
        if now > self.now:
            self.now = now
        self._handlers[type(event)](self, event)
        if self.applied_index < self.commit_index:
            self.apply_committed()
        if self.leader is not None:
            self.leader.stepped()
        return self.outbox.finish(self.log, self.now)

    def deadline(self) -> float:
        """When `Tick` is due at the latest."""
        if self.greeting is not None:
            return self.greeting.due  # no campaign can begin before it is over
        due = self.leader.deadline() if self.leader else self.election_deadline
        if self.transfer is not None:
            due = min(due, self.transfer[2])
        return due

    def _on_tick(self, _: Event) -> None:
        handover.expire(self)
        greeting.tick(self)
        if self.leader is not None:
            self.leader.tick()
        elif self.now >= self.election_deadline:
            election.timed_out(self)

    def _on_request(self, event: RequestReceived) -> None:
        if self.prepared:
            raise BadFrame(self.prepared)
        if why := bounds.objection(event.request):
            raise BadFrame(why)
        _REQUESTS[type(event.request)](self, event.reply_to, event.request)

    def _on_response(self, event: ResponseReceived) -> None:
        if why := bounds.objection(event.response):
            self._on_failure(RequestFailed(event.peer_id, event.rpc_id, why))
        elif self.leader is None:
            election.on_response(self, event.peer_id, event.rpc_id, event.response)
        elif not self._deposed_by(event.response):
            self.leader.on_response(event.peer_id, event.rpc_id, event.response)

    def _on_delivered(self, event: SnapshotDelivered) -> None:
        if why := bounds.objection(event.response):
            self._on_failure(RequestFailed(event.peer_id, event.rpc_id, why))
        elif not self._deposed_by(event.response) and self.leader is not None:
            self.leader.on_snapshot_delivered(event)

    def _deposed_by(self, response: Any) -> bool:
        term = getattr(response, "term", 0)  # an answer to TimeoutNow has none
        if term <= self.term:
            return False
        self.become_follower(term, "a peer answered with a higher term")
        return True

    def _on_failure(self, event: RequestFailed) -> None:
        if self.leader is not None:
            self.leader.on_failure(event.peer_id, event.rpc_id)
        else:
            election.on_failure(self, event.peer_id, event.rpc_id, event.reason)

    def _on_leader_unreachable(self, event: LeaderUnreachable) -> None:
        if self.leader is None and event.leader_id and event.leader_id == self.leader_id:
            self.leader_gone_in = self.term
            # Nobody grants a vote before this time, so it is also the first that makes sense.
            timeout = self.settings.election_timeout_s
            spread = timeout * _UNREACHABLE_SPREAD * self.rng.random()
            self.election_deadline = min(self.election_deadline, self.promised_until + spread)

    def _on_persisted(self, event: Persisted) -> None:
        self.outbox.persisted(event.sequence)
        self.log.stabilise(event.sequence)
        if self.leader is not None:
            self.leader.advance_commit()
        elif self.campaign is not None:
            election.on_persisted(self)

    def _on_term_persisted(self, event: TermPersisted) -> None:
        self.outbox.term_persisted(event.sequence)
        if self.campaign is not None:
            election.on_persisted(self)

    def begin(self, now: float) -> None:
        """Before all else: what is counted from the start of this node counts from `now` on."""
        if now > self.now:
            self.promised_until += now - self.now
            self.now = self.contact_at = now
            self.touch_election_timer()

    def greet(self) -> list[str]:
        """Before the first step: the IDs of the members that must be greeted after this start.

        Until each has answered, or does not for long, this server gives no vote.
        """
        self.greets = True
        return greeting.begin(self)

    def _on_greeted(self, event: Greeted) -> None:
        greeting.answered(self, event.server_id)

    def _on_storage(self, event: StorageState) -> None:
        if self.storage_full and not event.full:
            self.outbox.restart_clocks(self.now)
        self.storage_full = event.full

    def _on_machine(self, event: MachineState) -> None:
        self.machine_damaged = event.damaged
        if event.damaged:
            self._serve_nobody(Reason.MACHINE_DAMAGED)

    def _on_held(self, event: MachineHeld) -> None:
        self.applied_index = self.applying_index = event.index
        self.machine_held = event.why
        self._serve_nobody(Reason.MACHINE_HELD, event.why)

    def _on_prepared(self, event: Prepared) -> None:
        self.prepared = event.why
        if event.why:
            self.become_follower(self.term, event.why)
        self.touch_election_timer()

    def _serve_nobody(self, reason: Reason, detail: str = "") -> None:
        """What was asked cannot be answered from this state machine, nor would a leader's."""
        self.reject_proposals(reason, detail)
        if self.leader is not None:
            reads.refuse_all(self.leader, reason, detail)
        if self.campaign is not None:
            self.become_follower(self.term, reason.value)

    def _on_propose(self, event: Propose) -> None:
        if self.leader is None:
            handles = tuple(handle for handle, _ in event.proposals)
            self.reject(handles, Reason.NOT_LEADER)
        else:
            self.leader.propose(event.proposals)

    def _on_read(self, event: ReadRequested) -> None:
        if self.leader is None:
            self.reject((event.handle,), Reason.NOT_LEADER)
        elif (trouble := self.machine_trouble) is not None:
            self.reject((event.handle,), trouble, self.machine_held)
        else:
            reads.request(self.leader, event.handle)

    def _on_change(self, event: ChangeRequested) -> None:
        if self.leader is None:
            self.reject((event.handle,), Reason.NOT_LEADER)
        elif self.machine_held:
            # It is answered when its entry is applied, which will not happen here.
            self.reject((event.handle,), Reason.MACHINE_HELD, self.machine_held)
        else:
            membership.request(self.leader, event.handle, event.change, force=event.force)

    def _on_transfer(self, event: TransferRequested) -> None:
        if self.leader is None:
            self.reject((event.handle,), Reason.NOT_LEADER)
        else:
            handover.begin(self.leader, event.handle, event.target_id)

    def _on_applied(self, event: Applied) -> None:
        # The state machine gets its entries by `apply_committed`, and snapshots of committed ones.
        assert event.index <= self.commit_index, "only what is committed is applied"
        if event.index > self.applied_index:
            self.applied_index = event.index
            self.machine_held = ""  # a snapshot has taken it past that entry
        self.machine_ready = event.ready
        if self.leader is not None:
            reads.release(self.leader)

    def _on_bootstrap(self, event: Bootstrap) -> None:
        if self.term or self.log.last_index:
            self.reject((event.handle,), Reason.CHANGE_INVALID, "this server holds data already")
            return
        event.configuration.check()
        for server in event.configuration.servers:
            check_new(server)
        self.set_hard_state(HardState(term=1))
        data = self.codec.encode_configuration(event.configuration)
        self.append((Entry(1, 1, EntryKind.CONFIGURATION, data),))
        self.when_durable(Done(event.handle, ""))

    def _on_snapshot_stored(self, event: SnapshotStored) -> None:
        log = self.log
        if event.index < log.snapshot_index or self.prepared:
            return
        log.snapshot_index, log.snapshot_term = event.index, event.term
        self.compact_to(log_bound.compaction_index(self, event.index, whole=event.whole))

    _handlers: ClassVar[dict[type, Callable[[Node, Any], None]]] = {
        Tick: _on_tick,
        RequestReceived: _on_request,
        ResponseReceived: _on_response,
        RequestFailed: _on_failure,
        LeaderUnreachable: _on_leader_unreachable,
        Persisted: _on_persisted,
        TermPersisted: _on_term_persisted,
        Greeted: _on_greeted,
        StorageState: _on_storage,
        MachineState: _on_machine,
        MachineHeld: _on_held,
        Prepared: _on_prepared,
        Propose: _on_propose,
        ReadRequested: _on_read,
        ChangeRequested: _on_change,
        TransferRequested: _on_transfer,
        Applied: _on_applied,
        Bootstrap: _on_bootstrap,
        SnapshotStored: _on_snapshot_stored,
        SnapshotReceived: receiver.on_snapshot_received,
        SnapshotDelivered: _on_delivered,
    }


_REQUESTS: dict[type, Callable[[Node, Any, Any], None]] = {
    AppendEntriesRequest: receiver.on_append_entries,
    InstallSnapshotRequest: receiver.on_install_snapshot,
    RequestVoteRequest: election.on_request_vote,
    PreVoteRequest: election.on_pre_vote,
    TimeoutNowRequest: election.on_timeout_now,
}
