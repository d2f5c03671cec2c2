"""A node while it leads: replication, commitment, lease, reads, membership, handing over.

Invariants:
- it only appends to its log, and counts itself only for what its disk has confirmed;
- `lease_until` is the time a majority's promises not to vote run out: each counted from when the
  acknowledged request was *sent*, for a share of the length that the peer itself named, so that no
  setting of this server can stretch it; the lease is not trusted before an entry of the own term is
  applied, nor ever again in a term in which TimeoutNow has left (thesis 6.4.1, 3.10);
- it steps down when no majority has answered for an election timeout, when its disk stands still,
  and when its own removal or demotion is committed.

Rules: Raft 5.3, 5.4, thesis 4, 6.4, 10.2; docs/wire.md#appends, #connections and
#leaders-and-membership. See also `handover`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from quorate.raft.commitment import majority_value
from quorate.raft.effects import Reason
from quorate.raft.roles import log_bound, membership, reads
from quorate.raft.roles import transfer as handover
from quorate.raft.roles.progress import Flight, Mode, Progress
from quorate.raft.roles.replication import Replication
from quorate.raft.values.messages import (
    AnyResponse,
    AppendEntriesResponse,
    EntryKind,
    InstallSnapshotResponse,
)

if TYPE_CHECKING:
    from quorate.raft.events import SnapshotDelivered

_match_index = attrgetter("match_index")


class Leader(Replication):
    """See the module."""

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

    # -- time -----------------------------------------------------------------------------------

    def deadline(self) -> float:
        """When `tick` is due."""
        now = self.node.now
        due = self.heartbeat_at if self.heartbeat_at < self.notice_at else self.notice_at
        for change in self.weighed:
            due = min(due, change.deadline)
        if self._pauses:
            self._pauses = False
            for peer in self.peers.values():
                if now < peer.retry_at:
                    self._pauses = True
                    due = min(due, peer.retry_at)
        return due

    def _pause(self, peer: Progress, seconds: float) -> None:
        """Send this peer nothing of the log for so long."""
        peer.retry_at = self.node.now + seconds
        self._pauses = True

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
        self.feed_all()
        if node.now >= self.notice_at:
            self.give_notice()
        self._look_in()

    def _look_in(self) -> None:
        """Ask peers that were sent nothing for long whether they still hold what they held.

        One that has restarted does not know what is committed, one whose disk was replaced has
        lost it all; heartbeats would not show either.
        """
        quiet_since = self.node.now - self.node.settings.election_timeout_s
        for peer in self.peers.values():
            idle = peer.mode is Mode.PIPELINE and not peer.appends
            if idle and peer.append_at <= quiet_since:
                self.send_append(peer, ())

    def _has_quorum_contact(self) -> bool:
        node = self.node
        heard = self.voter_values(lambda peer: max(peer.contact_at, peer.since), node.now)
        return not heard or node.now - majority_value(heard) < node.settings.election_timeout_s

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
        too_many = waiting + count > node.settings.uncommitted_entries_max
        if too_many or self.uncommitted_bytes > log_bound.uncommitted_bytes_max(node.settings):
            return Reason.OVERLOADED
        return Reason.LOG_AT_BOUND if log_bound.is_reached(node) else None

    # -- replication ----------------------------------------------------------------------------

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
            self.feed(peer)
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
            self.feed(peer)

    def _acknowledged(
        self, peer: Progress, rpc_id: int, sent_at: float, response: AppendEntriesResponse
    ) -> None:
        if response.promise_ms > 0:
            share = self.node.settings.lease_share * response.promise_ms / 1000
            peer.promised_until = max(peer.promised_until, sent_at + share)
        if rpc_id > peer.acknowledged_rpc:
            peer.acknowledged_rpc = rpc_id
        if self.reads:
            reads.release(self)
        if self.weighed:
            membership.settle(self)

    def _stored(self, peer: Progress, flight: Flight) -> None:
        # Leader Append-Only (Raft 5.3): what was sent is still in this log.
        assert flight.last_index <= self.node.log.last_index, "a peer stores this leader's entries"
        if peer.mode is Mode.PROBE:
            peer.mode = Mode.PIPELINE
            peer.next_index = flight.last_index + 1
        if peer.advance(flight.last_index):
            self.advance_commit()
        if peer.commit_sent < self.node.commit_index:
            self.plan_notice()
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
            self._pause(peer, min(pause, 2 * settings.election_timeout_s))

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
                self.feed(peer)
        else:
            self._pause(peer, self.node.settings.election_timeout_s)

    # -- commitment -----------------------------------------------------------------------------

    def advance_commit(self) -> None:
        """Count who stores what, and commit what a majority of voters does."""
        node = self.node
        if node.commit_index >= node.log.last_index:
            return  # as after the answers that come when a majority has answered
        stored = self.voter_values(_match_index, node.log.stable_index)
        if not stored:
            return
        index = int(max(majority_value(stored), 0))
        if index <= node.commit_index or node.log.term(index) != node.term:
            return
        node.commit_to(index)
        while self.batches and self.batches[0][0] <= index:
            self.uncommitted_bytes -= self.batches.popleft()[1]
        if node.configuration_index <= index and not node.is_voter():
            handover.retire(self)
        else:
            self.plan_notice()

    # -- lease ------------------------------------------------------------------------
