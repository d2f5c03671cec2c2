"""How a leader feeds its peers: heartbeats, appends, snapshots, and what they have promised.

The state and the moves that the rules of leadership share; `leader` is the whole role, and
`membership`, `reads` and `handover` work on this. Rules: Raft 5.3, thesis 6.4, 10.2;
docs/wire.md#appends and #connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from quorate.raft.commitment import majority_value
from quorate.raft.effects import SendSnapshot
from quorate.raft.pending import PendingRead, WeighedChange
from quorate.raft.roles import log_bound
from quorate.raft.roles.progress import Flight, Mode, Progress
from quorate.raft.settings import Settings
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.messages import AppendEntriesRequest, Entry, EntryKind

_promised_until = attrgetter("promised_until")

if TYPE_CHECKING:
    from quorate.raft.state import NodeState

_NEVER = float("inf")
_NOTHING = float("-inf")  # of a voter that is not fed yet


class Replication:
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
        self.reads: list[PendingRead] = []
        self.weighed: list[WeighedChange] = []
        self.notice_at = _NEVER  # when peers without news are told what is committed
        self.uncommitted_bytes = 0
        self.batches: deque[tuple[int, int]] = deque()  # last index and bytes of each batch
        self._lease: tuple[Settings, float] | None = None  # `lease_until` since the last step
        self._newest: AppendEntriesRequest | None = None  # for the peer that was fed last
        self._pauses = False  # a peer may have a `retry_at` to come
        self._counted: Configuration | None = None
        self._voter_ids: list[str] = []  # of the configuration `_counted`

    # -- peers -----------------------------------------------------------------------------------

    def add_peer(self, server: Server) -> None:
        """Begin to feed a member."""
        node = self.node
        self.peers[server.id] = Progress(
            server=server, next_index=node.log.last_index + 1, since=node.now
        )

    def feed_all(self) -> None:
        """Send to all peers what they may be sent."""
        for peer in self.peers.values():
            self.feed(peer)

    def feed(self, peer: Progress) -> None:
        """Send as much of the log as the peer's mode allows."""
        node = self.node
        log, settings = node.log, node.settings
        last = log.last_index
        while peer.next_index <= last or peer.mode is Mode.PROBE:
            if node.now < peer.retry_at or node.now < peer.no_room_until:
                return
            limit = 1 if peer.mode is Mode.PROBE else settings.appends_in_flight_max
            if peer.mode is Mode.SNAPSHOT or len(peer.appends) >= limit:
                return
            if peer.next_index <= log.first_index:  # else the entry before it is here
                compacted = peer.next_index < log.first_index and last >= peer.next_index
                if compacted or log.term(peer.next_index - 1) is None:
                    self._send_snapshot(peer)
                    return
            entries = log.entries(
                peer.next_index,
                last + 1,
                settings.append_entries_max,
                log_bound.append_bytes_max(settings),
            )
            self.send_append(peer, entries)

    def send_append(self, peer: Progress, entries: tuple[Entry, ...]) -> None:
        """Send these entries, which follow on `next_index` - 1; none: ask, and tell the commit."""
        node = self.node
        prev = peer.next_index - 1
        request = self._request(prev, entries)
        if request is None:
            return
        rpc_id = node.send(peer.server, request)
        last = prev + len(entries)
        peer.appends[rpc_id] = Flight(prev, last, node.now, prev <= peer.match_index)
        peer.append_at = node.now
        peer.commit_sent = min(node.commit_index, last)
        if peer.mode is Mode.PIPELINE:
            peer.next_index = last + 1

    def _request(self, prev: int, entries: tuple[Entry, ...]) -> AppendEntriesRequest | None:
        """The append of these entries behind `prev`; None if its term is not known any more.

        Peers that are equally far get one and the same, which is then encoded once.
        """
        node, newest = self.node, self._newest
        # What is not compared stays as it is while this server leads in this term.
        if (
            newest is not None
            and newest.entries is entries
            and newest.prev_log_index == prev
            and newest.leader_commit == node.commit_index
            and newest.identity is node.identity
            and newest.cluster_id == node.cluster_id
        ):
            return newest
        prev_term = node.log.term(prev)
        if prev_term is None:
            return None
        self._newest = request = AppendEntriesRequest(
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
        return request

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

    # -- heartbeats and notices ------------------------------------------------------------------

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

    def give_notice(self) -> None:
        """Tell the peers that have nothing else to hear what is committed."""
        self.notice_at = _NEVER
        for peer in self.peers.values():
            behind = peer.commit_sent < self.node.commit_index
            if behind and peer.mode is Mode.PIPELINE and not peer.appends:
                self.send_append(peer, ())

    def plan_notice(self) -> None:
        """Give notice of what is committed soon, together with what else comes meanwhile."""
        node = self.node
        at = node.now + node.settings.commit_notice_s
        if at < self.notice_at:
            self.notice_at = at

    # -- the log ---------------------------------------------------------------------------------

    def append(self, kind: EntryKind, data: Sequence[bytes], handles: Iterable[Any]) -> None:
        """Append an entry for each element of `data`; `handles` wait for the first ones."""
        node = self.node
        first, term = node.log.last_index + 1, node.term
        node.proposals.update(enumerate(handles, first))
        number = int(kind)
        entries = tuple([Entry(i, term, number, item) for i, item in enumerate(data, first)])
        size = sum([len(item) for item in data])
        self.uncommitted_bytes += size
        self.batches.append((entries[-1].index, size))
        node.append(entries)
        self.feed_all()

    # -- what the voters say ---------------------------------------------------------------------

    def voter_values(self, of_peer: Callable[[Progress], float], own: float) -> list[float]:
        """One value for every voter, `own` for this server if it is one."""
        configuration, me = self.node.configuration, self.node.server_id
        if self._counted is not configuration:
            self._counted = configuration
            self._voter_ids = [server.id for server in configuration.voters()]
        peer_of = self.peers.get
        return [
            own
            if server_id == me
            else of_peer(peer)
            if (peer := peer_of(server_id)) is not None
            else _NOTHING
            for server_id in self._voter_ids
        ]

    def lease_until(self) -> float:
        """Until when no other leader can have been elected; -inf if that cannot be relied on."""
        node = self.node
        if not node.settings.lease_reads:
            return float("-inf")
        if self.handed_over or node.commit_index < self.first_own_index:
            return float("-inf")
        own = node.now + node.settings.lease_share * node.settings.election_timeout_s
        promised = self.voter_values(_promised_until, own)
        return majority_value(promised) if promised else float("-inf")

    def lease_valid(self, now: float) -> bool:
        """True if the state machine as it is was current at `now`, a time just read from the clock.

        To be asked again right before a read is answered, with the clock read for it: what was
        valid when something was planned says nothing of the moment at which it is done.
        """
        node = self.node
        # Asked for each read, while only a step and other settings change what it depends on.
        if self._lease is None or self._lease[0] is not node.settings:
            self._lease = (node.settings, self.lease_until())
        until = self._lease[1]
        return until > now and until > node.now and node.applied_index >= self.first_own_index

    def stepped(self) -> None:
        """The node has taken an event: what was known of the lease may have changed."""
        self._lease = None

    def ready(self) -> bool:
        """True once an entry of its own term is applied: all older acknowledged writes show."""
        return self.node.applied_index >= self.first_own_index
