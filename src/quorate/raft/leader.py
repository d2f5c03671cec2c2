"""A node while it leads: replication, commitment, lease, reads, membership, handing over.

Invariants:
- it only appends to its log, and counts itself only for what its disk has confirmed;
- `lease_until` is the time a majority's promises not to vote run out: each counted from when the
  acknowledged request was *sent*, for a share of the length that the peer itself named, so that no
  setting of this server can stretch it; the lease is not trusted before an entry of the own term is
  applied, nor ever again in a term in which TimeoutNow has left (thesis 6.4.1, 3.10);
- it steps down when no majority has answered for an election timeout, when its disk stands still,
  and when its own removal or demotion is committed.

Rules: Raft 5.3, 5.4, thesis 4, 6.4, 10.2; raft-wire, sections 5, 6, 9, 10. See also `handover`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quorate.raft import handover, membership, reads
from quorate.raft.commitment import majority_value
from quorate.raft.configuration import (
    Server,
)
from quorate.raft.effects import Reason, SendSnapshot
from quorate.raft.messages import (
    AnyResponse,
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    EntryKind,
    InstallSnapshotResponse,
)
from quorate.raft.progress import Flight, Mode, Progress

if TYPE_CHECKING:
    from quorate.raft.events import SnapshotDelivered
    from quorate.raft.state import NodeState

_NEVER = float("inf")


class Leader:
    """See the module."""

    def __init__(self, node: NodeState) -> None:
        self.node = node
        self.peers: dict[str, Progress] = {}
        self.first_own_index = node.log.last_index + 1
        self.since = node.now
        self.heartbeat_at = node.now
        self.heartbeat_rpc = 0  # number of the first request of the newest round
        self.handed_over = False
        self.timeout_now_sent = False
        self.reads: list[reads.PendingRead] = []
        self.weighed: list[membership.WeighedChange] = []
        self.notice_at = _NEVER  # when peers without news shall hear what is committed
        self.uncommitted_bytes = 0
        self._batches: deque[tuple[int, int]] = deque()  # last index and bytes of each batch

    # -- beginning and end ----------------------------------------------------------------------

    def start(self) -> None:
        """Take up leadership: announce it, and append a no-op to commit what came before."""
        node = self.node
        for server in node.peers():
            self.add_peer(server)
        self.heartbeat()
        self.append(EntryKind.NOOP, (b"",), ())

    def resign(self) -> None:
        """Leadership is over: nothing that waits will be confirmed here."""
        node = self.node
        node.reject_proposals(Reason.LEADERSHIP_LOST)
        reads.refuse_all(self, Reason.LEADERSHIP_LOST)
        node.reject(tuple(change.handle for change in self.weighed), Reason.NOT_LEADER)
        self.weighed.clear()

    def add_peer(self, server: Server) -> None:
        """Begin to feed a member."""
        node = self.node
        self.peers[server.id] = Progress(
            server=server, next_index=node.log.last_index + 1, since=node.now
        )

    # -- time -----------------------------------------------------------------------------------

    def deadline(self) -> float:
        """When `tick` is due."""
        now = self.node.now
        due = min(self.heartbeat_at, self.notice_at)
        for change in self.weighed:
            due = min(due, change.deadline)
        for peer in self.peers.values():
            if now < peer.retry_at < due:
                due = peer.retry_at
        return due

    def tick(self) -> None:
        """Heartbeats, commit notices, retries; step down when quorum or disk is gone."""
        node = self.node
        if node.disk_stalled():
            node.become_follower(node.term, "its disk does not answer")
            return
        if node.now >= self.heartbeat_at:
            if not self._has_quorum_contact():
                node.become_follower(node.term, "no majority answers")
                return
            self.heartbeat()
        membership.drop_departed(self)
        membership.settle(self)
        self._feed_all()
        if node.now >= self.notice_at:
            self.give_notice()
        self._look_in()

    def give_notice(self) -> None:
        """Tell the peers that have nothing else to hear what is committed."""
        self.notice_at = _NEVER
        for peer in self.peers.values():
            behind = peer.commit_sent < self.node.commit_index
            if behind and peer.mode is Mode.PIPELINE and not peer.appends:
                self._send_append(peer, ())

    def _look_in(self) -> None:
        """Ask peers that were sent nothing for long whether they still hold what they held.

        One that has restarted does not know what is committed, one whose disk was replaced has
        lost it all; heartbeats would not show either.
        """
        quiet_since = self.node.now - self.node.settings.election_timeout_s
        for peer in self.peers.values():
            idle = peer.mode is Mode.PIPELINE and not peer.appends
            if idle and peer.append_at <= quiet_since:
                self._send_append(peer, ())

    def _plan_notice(self) -> None:
        node = self.node
        self.notice_at = min(self.notice_at, node.now + node.settings.commit_notice_s)

    def _has_quorum_contact(self) -> bool:
        node = self.node
        heard = self.voter_values(lambda peer: max(peer.contact_at, peer.since), node.now)
        return not heard or node.now - majority_value(heard) < node.settings.election_timeout_s

    def heartbeat(self) -> None:
        """One round: say to all that this server leads."""
        node = self.node
        self.heartbeat_at = node.now + node.settings.heartbeat_interval_s
        limit = node.settings.heartbeats_in_flight_max
        self.heartbeat_rpc = node.last_rpc_id + 1
        # Not behind the disk: the term is durable since before the votes were asked for.
        request = AppendEntriesRequest(**node.header(), leader=node.address)
        for peer in self.peers.values():
            if len(peer.heartbeats) < limit:
                rpc_id = node.send(peer.server, request)
                peer.heartbeats[rpc_id] = node.now

    # -- proposals ------------------------------------------------------------------------------

    def propose(self, proposals: tuple[tuple[Any, bytes], ...]) -> None:
        """Append commands and replicate them in one batch."""
        node = self.node
        if not proposals:
            return
        handles = [handle for handle, _ in proposals]
        reason = self._proposal_refusal(len(proposals))
        if reason is not None:
            node.reject(tuple(handles), reason, node.machine_held)
            return
        self.append(EntryKind.COMMAND, [data for _, data in proposals], handles)

    def _proposal_refusal(self, count: int) -> Reason | None:
        node = self.node
        if node.machine_trouble is not None:
            return node.machine_trouble
        if node.storage_full:
            return Reason.STORAGE_FULL
        if node.transfer is not None:
            return Reason.TRANSFERRING
        waiting = node.log.last_index - node.commit_index
        if waiting + count > node.settings.uncommitted_entries_max:
            return Reason.OVERLOADED
        if self.uncommitted_bytes > node.settings.uncommitted_bytes_max:
            return Reason.OVERLOADED
        return None

    def append(self, kind: EntryKind, data: Sequence[bytes], handles: Iterable[Any]) -> None:
        """Append an entry for each element of `data`; `handles` wait for the first ones."""
        node = self.node
        first, term = node.log.last_index + 1, node.term
        node.proposals.update(enumerate(handles, first))
        number = int(kind)
        entries = tuple([Entry(i, term, number, item) for i, item in enumerate(data, first)])
        size = sum([len(item) for item in data])
        self.uncommitted_bytes += size
        self._batches.append((entries[-1].index, size))
        node.append(entries)
        self._feed_all()

    # -- replication ----------------------------------------------------------------------------

    def _feed_all(self) -> None:
        for peer in self.peers.values():
            self._feed(peer)

    def _feed(self, peer: Progress) -> None:
        """Send as much of the log as the peer's mode allows."""
        node = self.node
        settings = node.settings
        if node.now < max(peer.retry_at, peer.no_room_until):
            return
        while peer.next_index <= node.log.last_index or peer.mode is Mode.PROBE:
            limit = 1 if peer.mode is Mode.PROBE else settings.appends_in_flight_max
            if peer.mode is Mode.SNAPSHOT or len(peer.appends) >= limit:
                return
            if node.log.term(peer.next_index - 1) is None or (
                peer.next_index < node.log.first_index and node.log.last_index >= peer.next_index
            ):
                self._send_snapshot(peer)
                return
            entries = node.log.entries(
                peer.next_index,
                node.log.last_index + 1,
                settings.append_entries_max,
                settings.append_bytes_max,
            )
            self._send_append(peer, entries)

    def _send_append(self, peer: Progress, entries: tuple[Entry, ...]) -> None:
        node = self.node
        prev = peer.next_index - 1
        prev_term = node.log.term(prev)
        if prev_term is None:
            return
        request = AppendEntriesRequest(
            term=node.term,
            sender_id=node.server_id,
            sender_address=node.address,
            cluster_id=node.cluster_id,
            identity=node.identity,
            leader=node.address,
            prev_log_index=prev,
            prev_log_term=prev_term,
            entries=entries,
            leader_commit=node.commit_index,
        )
        rpc_id = node.send(peer.server, request)
        last = prev + len(entries)
        peer.appends[rpc_id] = Flight(prev, last, node.now, prev <= peer.match_index)
        peer.append_at = node.now
        peer.commit_sent = min(node.commit_index, last)
        if peer.mode is Mode.PIPELINE:
            peer.next_index = last + 1

    def _send_snapshot(self, peer: Progress) -> None:
        node = self.node
        peer.appends.clear()
        peer.mode = Mode.SNAPSHOT
        peer.snapshot_rpc = node.next_rpc_id()
        peer.snapshot_index = node.log.snapshot_index
        node.emit_in_term(
            SendSnapshot(peer.snapshot_rpc, peer.server, node.term, peer.snapshot_index)
        )

    def lowest_install(self) -> int:
        """The log above this index is needed by the installs under way (no limit: very high)."""
        indexes = [p.snapshot_index for p in self.peers.values() if p.mode is Mode.SNAPSHOT]
        return min(indexes, default=1 << 62)

    # -- answers --------------------------------------------------------------------------------

    def on_response(self, peer_id: str, rpc_id: int, response: AnyResponse) -> None:
        """An answer of this term or an older one."""
        node = self.node
        peer = self.peers.get(peer_id)
        if peer is None:
            return
        peer.contact_at = node.now
        if not isinstance(response, AppendEntriesResponse):
            return
        if peer.failures:
            peer.failures, peer.retry_at = 0, 0.0
        sent_at = peer.heartbeats.pop(rpc_id, None)
        if sent_at is not None:
            if response.success and response.term == node.term:
                self._acknowledged(peer, rpc_id, sent_at, response)
            self._feed(peer)
            return
        flight = peer.appends.pop(rpc_id, None)
        if flight is None:
            return
        if response.success:
            self._acknowledged(peer, rpc_id, flight.sent_at, response)
            self._stored(peer, flight)
        elif not response.no_retry_backoff and response.last_log >= flight.prev_index:
            # The logs meet, and it could not store what follows: its disk is full, say.
            peer.restart_probe()
            peer.no_room_until = node.now + node.settings.election_timeout_s
        else:
            peer.back_off(flight, response.last_log)
        if node.leader is self:
            self._feed(peer)

    def _acknowledged(
        self, peer: Progress, rpc_id: int, sent_at: float, response: AppendEntriesResponse
    ) -> None:
        if response.promise_ms > 0:
            share = self.node.settings.lease_share * response.promise_ms / 1000
            peer.promised_until = max(peer.promised_until, sent_at + share)
        peer.acknowledged_rpc = max(peer.acknowledged_rpc, rpc_id)
        if self.reads:
            reads.release(self)
        if self.weighed:
            membership.settle(self)

    def _stored(self, peer: Progress, flight: Flight) -> None:
        if peer.mode is Mode.PROBE:
            peer.mode = Mode.PIPELINE
            peer.next_index = flight.last_index + 1
        if peer.advance(flight.last_index):
            self.advance_commit()
        if peer.commit_sent < self.node.commit_index:
            self._plan_notice()
        handover.proceed(self)

    def on_failure(self, peer_id: str, rpc_id: int) -> None:
        """A request got no answer: probe again, a little later."""
        peer = self.peers.get(peer_id)
        if peer is None:
            return
        peer.heartbeats.pop(rpc_id, None)
        installing = rpc_id == peer.snapshot_rpc and peer.mode is Mode.SNAPSHOT
        if rpc_id in peer.appends or installing:
            settings = self.node.settings
            pause = settings.heartbeat_interval_s * (1 << min(peer.failures, 5))
            peer.failures += 1
            peer.restart_probe()
            peer.retry_at = self.node.now + min(pause, 2 * settings.election_timeout_s)

    def on_snapshot_delivered(self, event: SnapshotDelivered) -> None:
        """The peer holds the snapshot, or refused it."""
        peer = self.peers.get(event.peer_id)
        if peer is None or event.rpc_id != peer.snapshot_rpc or peer.mode is not Mode.SNAPSHOT:
            return
        peer.contact_at = self.node.now
        response = event.response
        peer.restart_probe()
        if isinstance(response, InstallSnapshotResponse) and response.success:
            if peer.advance(event.index):
                self.advance_commit()
            peer.next_index = event.index + 1
            if self.node.leader is self:
                self._feed(peer)
        else:
            peer.retry_at = self.node.now + self.node.settings.election_timeout_s

    # -- commitment -----------------------------------------------------------------------------

    def voter_values(self, of_peer: Callable[[Progress], float], own: float) -> list[float]:
        """One value for every voter, `own` for this server if it is one."""
        values = []
        for server in self.node.configuration.voters():
            if server.id == self.node.server_id:
                values.append(own)
            else:
                peer = self.peers.get(server.id)
                values.append(of_peer(peer) if peer else float("-inf"))
        return values

    def advance_commit(self) -> None:
        """Count who stores what, and commit what a majority of voters does."""
        node = self.node
        stored = self.voter_values(lambda peer: peer.match_index, node.log.stable_index)
        if not stored:
            return
        index = int(max(majority_value(stored), 0))
        if index <= node.commit_index or node.log.term(index) != node.term:
            return
        node.commit_to(index)
        while self._batches and self._batches[0][0] <= index:
            self.uncommitted_bytes -= self._batches.popleft()[1]
        if node.configuration_index <= index and not node.is_voter():
            handover.retire(self)
        else:
            self._plan_notice()

    # -- lease ------------------------------------------------------------------------

    def lease_until(self) -> float:
        """Until when no other leader can have been elected; -inf if that cannot be relied on."""
        node = self.node
        if not node.settings.lease_reads:
            return float("-inf")
        if self.handed_over or node.commit_index < self.first_own_index:
            return float("-inf")
        own = node.now + node.settings.lease_share * node.settings.election_timeout_s
        promised = self.voter_values(lambda peer: peer.promised_until, own)
        return majority_value(promised) if promised else float("-inf")

    def lease_valid(self, now: float) -> bool:
        """True if the state machine as it is was current at `now`, a time just read from the clock.

        To be asked again right before a read is answered, with the clock read for it: what was
        valid when something was planned says nothing of the moment at which it is done.
        """
        return self.ready() and self.lease_until() > max(now, self.node.now)

    def ready(self) -> bool:
        """True once an entry of its own term is applied: all older acknowledged writes show."""
        return self.node.applied_index >= self.first_own_index
