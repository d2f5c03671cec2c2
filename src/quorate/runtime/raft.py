"""A Raft replica without sockets, files, threads and event loop.

All that the core decides passes here: `quorate.replica` runs this in production, and
`quorate.testing.sim` runs the same code on virtual time. What stands around it is behind the ports
of `quorate.runtime.ports`.

Invariants:
- what waits in a `Persist.then` leaves when that write is durable, in the order of the writes, and
  what relies on term and vote alone when these are, which on a full disk may be earlier;
- the core always knows exactly up to where the state machine has applied: `Applied` follows in the
  same turn, also when the rest of a long backlog is left for later turns. So a snapshot is labelled
  with the index of the state that it holds;
- no message reaches the core that `objection` has not passed;
- every handle is answered once, whatever ends first: the request, leadership, or the replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from quorate.errors import BadFrame, MachineHeld, QuorateError, ReplicaStopped, StateDamaged
from quorate.raft import effects, events
from quorate.raft.effects import Reason, Role
from quorate.raft.node import Node
from quorate.raft.roles.log_bound import turn_bytes_max
from quorate.raft.values.configuration import Change, Configuration, ConfigurationError
from quorate.raft.values.identity import IdentityRecord, Start, objection
from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesRequest,
    EntryKind,
    InstallSnapshotRequest,
)
from quorate.runtime.driver import Clock, Driver
from quorate.runtime.greeting import Greeter
from quorate.runtime.handing_over import HandingOver
from quorate.runtime.listeners import Listeners, tell
from quorate.runtime.log_bound import LogBound
from quorate.runtime.ports import Disk, Handle, Network, Snapshots, StateMachine
from quorate.runtime.reasons import ended_by, error_for

_AGREED_MAX = 1024
_NO_STARTS: Mapping[str, Start] = MappingProxyType({})
ANOTHER = "another server answers at this address"


class PeerProgress(NamedTuple):
    """How far a leader knows a peer to be."""

    id: str
    match_index: int
    behind: int  # entries of the leader's log that it is not known to hold
    contact_s: float  # seconds since it was heard
    mode: str


class RaftDriver:
    """See the module. `start`, use, `stop`."""

    def __init__(
        self,
        node: Node,
        machine: StateMachine[object],
        clock: Clock,
        *,
        disk: Disk,
        network: Network,
        snapshots: Snapshots,
        listeners: Listeners,
    ) -> None:
        self.node = node
        self.machine = machine
        self.clock = clock
        self.damage: StateDamaged | None = None
        self.held: MachineHeld | None = None
        self.storage_full = False
        self.seen: Callable[[], Mapping[str, Start]] = lambda: _NO_STARTS
        """The newest starts of other servers that are known here, by server ID.

        Another mapping is given whenever one of them changes.
        """
        self.agreed: dict[str, tuple[IdentityRecord, IdentityRecord, Mapping[str, Start]]] = {}
        self._disk = disk
        self._network = network
        self._snapshots = snapshots
        self._listeners = listeners
        self._end: QuorateError | None = None  # what callers hear after the end
        self._to_persist: list[effects.Persist] = []
        self._released: dict[int, effects.Persist] = {}  # by write: what leaves when it is durable
        self._proposals: list[tuple[Handle, bytes]] = []
        self._room = (0, 0)  # how many proposals this turn may gather, and of how many bytes
        self._proposed_bytes = 0
        self._taking: Handle | None = None  # waits for the snapshot under way
        self._driver = Driver(
            node,
            clock,
            {
                effects.Persist: self._persist,
                effects.Send: self._send,
                effects.SendSnapshot: self._send_snapshot,
                effects.Reply: self._reply,
                effects.ReceiveSnapshot: self._receive_snapshot,
                effects.RestoreSnapshot: self._restore_snapshot,
                effects.Apply: self._apply,
                effects.ReadReady: self._read_ready,
                effects.Done: self._done,
                effects.Rejected: self._rejected,
                effects.RoleChanged: self._role_changed,
                effects.Greet: lambda effect: self._greeter.greet(effect.server_ids),
                effects.ConfigurationChanged: self._configuration_changed,
            },
            tick=events.Tick,
            on_failure=self._failed,
            refusals=(BadFrame, ConfigurationError),
            on_refusal=self._event_refused,
            settle=self._settle,
        )
        self._greeter = Greeter(node, clock, network, self._driver)
        self._bound = LogBound(
            node, self._driver, self.take_snapshot, partial(tell, listeners.refused)
        )

    # -- life -------------------------------------------------------------------------------------

    def start(self, *, greets: bool = False) -> None:
        """Take part; with `greets` the other members are heard before a vote is given."""
        self.node.begin(self.clock.now())
        if greets:
            self._greeter.begin()
        self._driver.step(events.Tick())

    def stop(self, why: ReplicaStopped | None = None) -> None:
        """Take no event any more; what waits may or may not stand, what comes hears `why`."""
        if self._end is None:
            self._end = why or ReplicaStopped("this replica was stopped", "start it again")
            self._driver.end()
            self._answer_all(lambda: error_for(Reason.LEADERSHIP_LOST))

    def fail(self, error: BaseException) -> None:
        """A part of the replica cannot go on: neither can the rest. Callers hear the cause."""
        self._driver.fail(error)

    def _failed(self, error: BaseException) -> None:
        self._end = ended_by(error)
        self._answer_all(partial(ended_by, error))
        self._network.close()
        tell(self._listeners.failure, error)

    def _answer_all(self, error: Callable[[], QuorateError]) -> None:
        """All requests that wait get an error."""
        waiting = self.node.waiting_handles()
        waiting += [handle for handle, _ in self._proposals]
        for persist in self._released.values():
            waiting += [effect.handle for effect in persist.then if type(effect) is effects.Done]
        if self._taking is not None:
            waiting.append(self._taking)
        self._proposals.clear()
        for handle in waiting:
            if not handle.done():
                handle.set_exception(error())

    @property
    def ended(self) -> bool:
        """True once it was stopped or has failed."""
        return self._driver.ended

    def check(self) -> None:
        """Raises ReplicaStopped once it was stopped or has failed."""
        if self._end is not None:
            again = ReplicaStopped(self._end.text, self._end.next_step)
            again.__cause__ = self._end.__cause__
            raise again

    # -- what callers ask -------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """True while this replica believes to lead."""
        return self.node.leader is not None and not self._driver.ended

    @property
    def role(self) -> Role:
        """The role of this replica now; one that has ended is nothing more than a follower."""
        return Role.FOLLOWER if self._driver.ended else self.node.role

    def trouble(self) -> QuorateError | None:
        """Why nothing may be answered from the state machine here; a new error for each caller."""
        if self.damage is not None:
            return self.damage.refusal()
        return self.held.again() if self.held is not None else None

    def lease_valid(self) -> bool:
        """True if a read of the state machine made right now is linearizable."""
        return (
            (leader := (node := self.node).leader) is not None
            and not self._driver.ended
            and not (node.machine_damaged or node.machine_held)
            and leader.lease_valid(self.clock.now())
        )

    def propose(self, handle: Handle, command: bytes) -> None:
        """Replicate a command; the handle gets (index, what `apply` returned).

        All proposals of one turn travel as one batch. Raises ReplicaStopped.
        """
        if self._end is not None:
            self.check()
        troubled = self.damage is not None or self.held is not None
        if troubled and (trouble := self.trouble()) is not None:
            handle.set_exception(trouble)  # what `apply` returned could be wrong
            return
        if not self._proposals:
            # How many this turn may add: a batch over the bound would be refused as a whole.
            node, self._proposed_bytes = self.node, 0
            self._room = node.proposal_room(), turn_bytes_max(node.settings)
            self.clock.call_soon(self._flush_proposals)
        elif len(self._proposals) >= self._room[0] or self._proposed_bytes > self._room[1]:
            handle.set_exception(error_for(Reason.OVERLOADED))
            return
        self._proposals.append((handle, command))
        self._proposed_bytes += len(command)

    def _flush_proposals(self) -> None:
        proposals, self._proposals = self._proposals, []
        self._driver.step(events.Propose(tuple(proposals)))

    def read(self, handle: Handle) -> None:
        """The handle is answered when a read made then is linearizable. Raises ReplicaStopped."""
        self.check()
        if (trouble := self.trouble()) is not None:
            handle.set_exception(trouble)
        elif self.lease_valid():
            handle.set_result(None)
        else:
            self._driver.step(events.ReadRequested(handle))

    def change(self, handle: Handle, change: Change, *, force: bool = False) -> None:
        """Change the membership; the handle gets (index, None). Raises ReplicaStopped."""
        self.check()
        self._driver.step(events.ChangeRequested(handle, change, force))

    def transfer(self, handle: Handle, target_id: str = "") -> None:
        """Hand leadership over; the handle gets the new leader's ID. Raises ReplicaStopped."""
        self.check()
        self._driver.step(events.TransferRequested(handle, target_id))

    def bootstrap(self, handle: Handle, configuration: Configuration) -> None:
        """Found a cluster. Raises ReplicaStopped, ConfigurationError."""
        self.check()
        self._driver.step(events.Bootstrap(handle, configuration))

    def quarantine(self, damage: StateDamaged | None) -> None:
        """The state machine here is known to be wrong, or None: it is right again.

        Callers that wait for it are told so, since what it would answer could be wrong.
        """
        self.damage = damage
        self._driver.step(events.MachineState(damage is not None))

    def peers(self) -> tuple[PeerProgress, ...]:
        """How far the others are, as this leader knows; nothing on any other server."""
        leader, now = self.node.leader, self.clock.now()
        if leader is None or self._driver.ended:
            return ()
        last = self.node.log.last_index
        return tuple(
            PeerProgress(
                id=peer.server.id,
                match_index=peer.match_index,
                behind=max(last - peer.match_index, 0),
                contact_s=max(now - peer.contact_at, 0.0),
                mode=peer.mode.name.lower(),
            )
            for peer in leader.peers.values()
        )

    # -- what the surroundings report -------------------------------------------------------------

    def step(self, event: events.Event) -> None:
        """Give the core an event. Raises the core's refusal of it (see `Node.step`)."""
        self._driver.step(event)

    def durable(self, sequence: int) -> None:
        """All writes up to this one are durable."""
        waiting = self._released
        released: list[Any] = []
        for done in [number for number in waiting if number <= sequence]:
            released += effects.still_true(waiting.pop(done).then, self.node.acknowledges_from)
        self._driver.step(events.Persisted(sequence), released)

    def term_durable(self, sequence: int) -> None:
        """On a full disk: term and vote up to this write are durable, entries before it wait."""
        waiting = self._released
        released: list[Any] = []
        for number in [number for number in waiting if number <= sequence]:
            released += waiting[number].of_term
            waiting[number] = effects.without_of_term(waiting[number])
        self._driver.step(events.TermPersisted(sequence), released)

    def disk_full(self, full: bool) -> None:
        """The disk has no room for writes, or has room again."""
        self.storage_full = full
        self._driver.step(events.StorageState(full))

    def objection(self, message: AnyRequest | AnyResponse, asked_of: str = "") -> str:
        """Empty, or why this message must not reach the core.

        Every request is shown here when it arrives, every response with the ID of the server that
        was asked: addresses are reused, and another server's answer is not the member's.
        """
        sender_id, record, node = message.sender_id, message.identity, self.node
        another = asked_of and sender_id != asked_of and not _is_of(asked_of, message)
        if another or node.prepared:
            return ANOTHER if another else node.prepared
        if record is not None:
            # As for the last message, if nothing has changed: each of these is replaced as a whole.
            ours, seen = node.identity, self.seen()
            to = self.agreed.get(record.server_id)
            same = to is not None and to[1] is record and to[0] is ours and to[2] is seen
            if not same and (why := self._record_objection(record, ours, seen)):
                return why
        if asked_of:
            return ""
        theirs = getattr(message, "cluster_id", "")
        if theirs != node.cluster_id and node.cluster_id and theirs:
            return (
                f"the peer {message.sender_address} belongs to cluster {theirs}, "
                f"not {node.cluster_id}"
            )
        if sender_id == node.server_id and isinstance(message, AppendEntriesRequest):
            return f"the peer {message.sender_address} uses this server's id"
        return ""

    def _record_objection(
        self, record: IdentityRecord, ours: IdentityRecord | None, seen: Mapping[str, Start]
    ) -> str:
        """Why nothing of a sender with this record counts, or empty."""
        if ours is None:
            return ""
        why = objection(ours, record, seen.get(record.server_id))
        if not why:
            if len(self.agreed) >= _AGREED_MAX:
                self.agreed.clear()
            self.agreed[record.server_id] = (ours, record, seen)
        return why

    def request_received(self, reply_to: Any, request: AnyRequest) -> None:
        """A peer asks, and there is no objection. Raises BadFrame for what must be refused."""
        self._driver.step(events.RequestReceived(reply_to, request))

    def response_received(self, peer_id: str, rpc_id: int, response: AnyResponse) -> None:
        """The peer has answered the request `rpc_id`."""
        if why := self.objection(response, peer_id):
            self.request_failed(peer_id, rpc_id, why)
        else:
            self._driver.step(events.ResponseReceived(peer_id, rpc_id, response))

    def request_failed(self, peer_id: str, rpc_id: int, reason: str) -> None:
        """The peer gives no answer to the request `rpc_id`."""
        self._driver.step(events.RequestFailed(peer_id, rpc_id, reason))

    def snapshot_delivered(
        self, peer_id: str, rpc_id: int, index: int, response: AnyResponse
    ) -> None:
        """The peer has answered to a snapshot up to `index`."""
        if why := self.objection(response, peer_id):
            self.request_failed(peer_id, rpc_id, why)
        else:
            self._driver.step(events.SnapshotDelivered(peer_id, rpc_id, index, response))

    def greeted(self, peer_id: str, *, answered: bool) -> None:
        """A member that was greeted has answered and has nothing against this start, or not."""
        (self._greeter.answered if answered else self._greeter.failed)(peer_id)

    def peer_gone(self, peer_id: str) -> None:
        """A connection of that peer has ended: if it led, look sooner for another leader."""
        if peer_id == self.node.leader_id:
            self._driver.step(events.LeaderUnreachable(peer_id))

    # -- effects: the log -------------------------------------------------------------------------

    def _persist(self, effect: effects.Persist) -> None:
        if effect.then:
            self._released[effect.sequence] = effect
        self._to_persist.append(effect)

    def _settle(self) -> None:
        if self._to_persist:
            # Last of all: the disk's thread wakes when this one is about to wait, and need not
            # wait for the interpreter in its turn.
            for effect in self._to_persist:
                self._disk.submit(effect)
            self._to_persist.clear()
        self._bound.look()

    # -- effects: peers ---------------------------------------------------------------------------

    def _send(self, effect: effects.Send) -> None:
        self._network.send(effect.to, effect.rpc_id, effect.request)

    def _reply(self, effect: effects.Reply) -> None:
        self._network.reply(effect.reply_to, effect.response)

    def _event_refused(self, event: Any, error: Exception) -> None:
        tell(self._listeners.refused, type(event).__name__, str(error))

    # -- effects: snapshots -----------------------------------------------------------------------

    def take_snapshot(self, handle: Handle, *, whole: bool = False) -> None:
        """Store a snapshot of what is applied and compact the log; the handle gets its index.

        0 if there is nothing new, while the state machine is known to be wrong, and while it is at
        work. With `whole` all that the snapshot has goes from the log, also if nothing is new.
        Raises ReplicaStopped.
        """
        self.check()
        point = self.node.snapshot_point()
        idle = self._taking is None and self.damage is None and not self.node.prepared
        if point is None and whole and idle:
            log = self.node.log
            self._driver.step(events.SnapshotStored(log.snapshot_index, log.snapshot_term, whole))
        if point is None or self._taking is not None or self.damage is not None:
            handle.set_result(0)
            return
        # The image is taken in the same moment as the point: nothing is applied in between.
        write_out = self.machine.snapshot()
        self._taking = handle
        taken = events.SnapshotStored(*point[:2], whole)
        self._snapshots.take(point, write_out, lambda error: self._taken(taken, error))

    def _taken(self, taken: events.SnapshotStored, error: BaseException | None) -> None:
        handle, self._taking = self._taking, None
        assert handle is not None
        if self._driver.ended or handle.done():
            return
        if error is not None:
            handle.set_exception(error)
        elif self.node.machine_damaged:
            # Found meanwhile: the log must not be compacted behind it.
            handle.set_result(0)
        else:
            self._driver.step(taken)
            handle.set_result(taken.index)

    def _send_snapshot(self, effect: effects.SendSnapshot) -> None:
        if self.damage is not None:  # it would carry the damage
            failed = events.RequestFailed(effect.to.id, effect.rpc_id, self.damage.text)
            self._driver.step_soon(failed)
            return
        header = self.node.header()
        header["term"] = effect.term
        self._snapshots.send(effect, header)

    def _receive_snapshot(self, effect: effects.ReceiveSnapshot) -> None:
        reply_to: Any = effect.reply_to
        request: InstallSnapshotRequest = effect.request

        def done(ok: bool) -> None:
            self._driver.step(events.SnapshotReceived(reply_to, request, ok))

        self._snapshots.receive(reply_to, request, done)

    def _restore_snapshot(self, effect: effects.RestoreSnapshot) -> None:
        def done(image: Any) -> None:
            if self._driver.ended:
                return
            try:
                self.machine.restore(image)
            except Exception as error:  # noqa: BLE001  whatever it was: the state is not there
                self.fail(error)
                return
            self._restored(effect.index)

        self._snapshots.restore(effect.index, effect.term, done)

    def _restored(self, index: int) -> None:
        held, self.held = self.held, None
        self._driver.step(events.Applied(index))
        if held is not None:
            tell(self._listeners.held, None)

    # -- effects: the state machine ---------------------------------------------------------------

    def _apply(self, effect: effects.Apply) -> None:
        handles, entries, apply = effect.handles, effect.entries, self.machine.apply
        done = entries[0].index - 1
        try:
            for entry in entries:
                is_command = entry.kind == EntryKind.COMMAND
                result = apply(entry.index, entry.data) if is_command else None
                done = entry.index
                if handles and (handle := handles.get(done)) is not None and not handle.done():
                    if isinstance(result, QuorateError):
                        handle.set_exception(result)
                    else:
                        handle.set_result((done, result))
        except MachineHeld as held:
            self._hold(done, held, _above(handles, done))
            return
        except Exception as error:
            _refuse(_above(handles, done), partial(ended_by, error))
            raise
        # A long backlog must not hold the loop: the next slice is for a later turn.
        ready = done >= self.node.commit_index
        self._driver.step(events.Applied(done, ready))
        if not ready:
            self._driver.step_soon(events.Applied(done))

    def _hold(self, index: int, held: MachineHeld, waiting: list[Handle]) -> None:
        """The entry behind `index` cannot be applied here: go on without a state machine."""
        self.held = held
        _refuse(waiting, held.unconfirmed)
        self._driver.step(events.MachineHeld(index, held.text))
        tell(self._listeners.held, held)
        self._hand_over()

    def _hand_over(self) -> None:
        """A leader that can answer nobody hands over, as soon as there is another voter for it."""
        if self.held is not None and self.is_leader:
            self._driver.step(events.TransferRequested(HandingOver(self._hand_over_later)))

    def _hand_over_later(self) -> None:
        self.clock.call_later(self.node.settings.election_timeout_s, self._hand_over)

    # -- effects: callers and observers -----------------------------------------------------------

    def _read_ready(self, effect: effects.ReadReady) -> None:
        for handle in effect.handles:
            if not handle.done():
                handle.set_result(None)

    def _done(self, effect: effects.Done) -> None:
        if not effect.handle.done():
            effect.handle.set_result(effect.leader_id)

    def _rejected(self, effect: effects.Rejected) -> None:
        _refuse(effect.handles, lambda: self._error(effect))

    def _error(self, effect: effects.Rejected) -> QuorateError:
        reason, node = effect.reason, self.node
        if reason in {Reason.MACHINE_DAMAGED, Reason.MACHINE_HELD} and (trouble := self.trouble()):
            unsure = self.damage or self.held
            return unsure.unconfirmed() if effect.begun and unsure is not None else trouble
        detail = str(self._disk.room) if reason is Reason.STORAGE_FULL else effect.detail
        return error_for(reason, detail, node.leader_id, node.leader_address)

    def _role_changed(self, effect: effects.RoleChanged) -> None:
        tell(self._listeners.role, effect)

    def _configuration_changed(self, effect: effects.ConfigurationChanged) -> None:
        if effect.committed:
            self._network.members({server.id for server in effect.configuration.servers})
        tell(self._listeners.configuration, effect)


def _refuse(handles: Iterable[Handle], error: Callable[[], BaseException]) -> None:
    """Each gets an error of its own: one object for many would gather all their traces."""
    for handle in handles:
        if not handle.done():
            handle.set_exception(error())


def _above(handles: dict[int, Handle], index: int) -> list[Handle]:
    return [handle for at, handle in handles.items() if at > index]


def _is_of(peer_id: str, response: AnyRequest | AnyResponse) -> bool:
    """False if another server answers at the peer's address.

    Old peers send no ID; where addresses are IDs (before protocol 3) the address is the name.
    """
    return response.sender_id in {"", peer_id} or response.sender_address == peer_id
