"""The state of a node, and the few methods that change it; the base of `quorate.raft.node.Node`.

The rules (`election`, `receiver`, `leader` and what stands beside them) change a node only by the
methods here, so that the invariants named in `node` are kept in one place.
"""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

from quorate.raft.codec import Codec, configurations_in
from quorate.raft.effects import (
    Apply,
    ConfigurationChanged,
    Done,
    Effect,
    Reason,
    Rejected,
    Reply,
    Role,
    RoleChanged,
    Send,
)
from quorate.raft.log import LogReader, RaftLog
from quorate.raft.outbox import Outbox
from quorate.raft.pending import Campaign, Cause, Elected, Greeting, PendingRead, WeighedChange
from quorate.raft.settings import Settings
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.identity import IdentityRecord
from quorate.raft.values.messages import AnyRequest, Entry, HardState, PreVoteRequest

_APPLY_BYTES_MAX = 16 << 20
_FOUNDING_TERM = 1  # of the entry that founds a cluster: no leader has written yet


class Office(Protocol):
    """The data of a node while it leads (`leader.Leader`), as far as its state is concerned."""

    reads: list[PendingRead]
    weighed: list[WeighedChange]

    def start(self) -> None:
        """Take up leadership."""

    def lowest_install(self) -> int:
        """The log above this index is needed by the installs under way (no limit: very high)."""

    def resign(self) -> None:
        """Leadership is over: nothing that waits will be confirmed here."""


Followed = tuple[Configuration, Configuration, int, str, bool]
"""The leader that was followed last, and by what: configuration in force and committed, its term,
its ID, and whether it is identified. See `receiver`."""


class NodeState:
    """See the module. `reader` is the durable log as found at start, `hard_state` what it holds."""

    # Every step reads many of these. An object with more than 29 attributes and no slots keeps them
    # in a table of its own, where CPython 3.11 finds each more slowly (a sixth of a step).
    __slots__ = (
        *("server_id", "address", "settings", "codec", "rng", "cluster_id", "identity"),
        *("hard_state", "role", "leader_id", "leader_address", "leader_named", "leader_identified"),
        *("led_by", "leader_gone_in", "followed", "elected", "leader", "campaign", "greeting"),
        *("greets", "transfer", "log", "commit_index", "applied_index", "applying_index"),
        *("configuration", "configuration_index"),
        *("committed_configuration", "committed_configuration_index"),
        *("now", "contact_at", "promised_until", "election_deadline", "storage_full"),
        *("machine_damaged", "machine_held", "machine_ready", "proposals", "last_rpc_id", "outbox"),
        *("prepared", "acknowledges_from"),
    )

    def __init__(
        self,
        *,
        server_id: str,
        address: str,
        settings: Settings,
        reader: LogReader,
        hard_state: HardState,
        codec: Codec,
        rng: Random,
        now: float,
        snapshot: tuple[int, int, Configuration, int] | None = None,
        cluster_id: str = "",
        promise_s: float = 0.0,
    ) -> None:
        """`snapshot` is (index, term, configuration, configuration index) of the newest one.

        `promise_s` is the longest promise, in seconds, that a process on this data may have given
        before: its election timeout, where that was longer than the one of `settings`.

        Raises ValueError when the log does not reach down to the snapshot, ConfigurationError or
        BadFrame when a configuration in the log is none.
        """
        self.server_id = server_id
        self.address = address
        self.settings = settings
        self.codec = codec
        self.rng = rng
        self.cluster_id = cluster_id
        self.identity: IdentityRecord | None = None  # what every message of ours carries
        self.hard_state = hard_state
        self.role = Role.FOLLOWER
        self.leader_id = ""
        self.leader_address = ""  # of the configuration; empty while that does not know the leader
        self.leader_named = False  # its appends carry its ID
        self.leader_identified = False  # and an identity record: it is of feature level 1 or more
        self.led_by = (0, "")  # the newest term whose leader was heard, and its ID
        self.leader_gone_in = 0  # the term in which the connections to its leader ended
        self.followed: Followed | None = None
        self.elected: Elected | None = None  # how this node came to lead, the last time
        self.leader: Office | None = None
        self.campaign: Campaign | None = None
        self.greets = False  # its driver can greet others
        self.greeting: Greeting | None = None  # while it lasts: no vote, no campaign
        self.transfer: tuple[Any, str, float] | None = None  # handle, target, deadline

        index, term = (snapshot[0], snapshot[1]) if snapshot else (0, 0)
        self.log = RaftLog(reader, index, term)
        self.commit_index = self.applied_index = self.applying_index = index
        self.configuration = snapshot[2] if snapshot else Configuration()
        self.configuration_index = snapshot[3] if snapshot else 0
        self.committed_configuration = self.configuration
        self.committed_configuration_index = self.configuration_index

        self._start_clocks(now, promise_s)
        self.storage_full = False
        self.machine_damaged = False
        self.machine_held = ""  # why no entry is applied any more
        self.machine_ready = True  # for the next entries
        self.proposals: dict[int, Any] = {}
        self.last_rpc_id = 0
        self.outbox = Outbox()
        # Why nothing of this epoch counts any more: a recovery is prepared; or empty.
        self.prepared = ""
        # Appends of terms before this one are not acknowledged: see `vote_given_to`.
        self.acknowledges_from = 0
        if self.log.superseded:
            self.outbox.reset_to = (index, term)
        self._read_configurations()

    def _start_clocks(self, now: float, promise_s: float) -> None:
        """As if a leader had just been heard: a promise given before the crash may back a lease."""
        self.now = self.contact_at = now
        self.promised_until = now + max(self.settings.election_timeout_s, promise_s)
        self.election_deadline = 0.0
        self.touch_election_timer()

    def _read_configurations(self) -> None:
        """Take the newest configuration from the entries after the snapshot."""
        low = max(self.log.first_index, self.log.snapshot_index + 1)
        while low <= self.log.last_index:
            entries = self.log.entries(low, self.log.last_index + 1, 4096, 4 << 20)
            for entry, configuration in configurations_in(entries, self.codec):
                self._note_configuration(configuration, entry.index)
            low = entries[-1].index + 1

    # -- what follows from it -------------------------------------------------------------------

    @property
    def term(self) -> int:
        """The current term."""
        return self.hard_state.term

    def is_voter(self) -> bool:
        """True if this server's vote counts in the configuration in force."""
        return self.configuration.is_voter(self.server_id)

    def may_campaign(self) -> bool:
        """True if this server may be needed as leader.

        A voter that an uncommitted configuration removes or demotes may be the only one whose log
        allows it to lead; it does not count its own vote then (thesis 4.2.2).
        """
        if self.configuration_index > self.commit_index and (
            self.committed_configuration.is_voter(self.server_id)
        ):
            return True
        return self.is_voter()

    def peers(self) -> list[Server]:
        """All other members."""
        return [s for s in self.configuration.servers if s.id != self.server_id]

    @property
    def machine_trouble(self) -> Reason | None:
        """Why no caller can be answered from the state machine here; None if callers can."""
        if self.machine_damaged:
            return Reason.MACHINE_DAMAGED
        return Reason.MACHINE_HELD if self.machine_held else None

    def waiting_handles(self) -> list[Any]:
        """The handles of all that was asked of this node and is not answered yet."""
        handles = list(self.proposals.values())
        if self.leader is not None:
            handles += [read.handle for read in self.leader.reads]
            handles += [weighed.handle for weighed in self.leader.weighed]
        if self.transfer is not None:
            handles.append(self.transfer[0])
        return handles

    def address_of(self, server_id: str) -> str:
        """Where the configuration says that this member is; empty if it is none.

        A leader that removes itself is one until that is committed (thesis 4.2.2).
        """
        get, before = self.configuration.get, self.committed_configuration.get
        server = get(server_id) or before(server_id)
        return server.address if server else ""

    def heard_recently(self) -> bool:
        """True while this server has promised not to help unseat a leader."""
        return self.now < self.promised_until

    def promise_ms(self) -> int:
        """For how many milliseconds from now this server keeps to its promise."""
        return max(0, int((self.promised_until - self.now) * 1000))

    def proposal_room(self) -> int:
        """How many more entries may wait to be committed; at least 1, so that one is refused."""
        waiting = self.log.last_index - self.commit_index
        return max(self.settings.uncommitted_entries_max - waiting, 1)

    def disk_stalled(self) -> bool:
        """True if a write has been with the disk for longer than the limit."""
        since = None if self.storage_full else self.outbox.oldest_write_at()
        return since is not None and self.now - since > self.settings.disk_stall_s

    def header(self) -> dict[str, Any]:
        """The fields that every request of ours carries."""
        return {
            "term": self.term,
            "sender_id": self.server_id,
            "sender_address": self.address,
            "cluster_id": self.cluster_id,
            "identity": self.identity,
        }

    # -- what to do -----------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """To be done at once."""
        self.outbox.emit(effect)

    def when_durable(self, effect: Effect, *, of_term: bool = False) -> None:
        """To be done when everything decided so far is durable; see `Outbox`."""
        self.outbox.when_durable(effect, of_term=of_term)

    def reject(self, handles: tuple[Any, ...], reason: Reason, detail: str = "") -> None:
        """Tell the callers no."""
        if handles:
            self.emit(Rejected(handles, reason, detail))

    def reject_proposals(self, reason: Reason, detail: str = "") -> None:
        """Nobody will hear from here what became of the writes and changes that wait."""
        handles = tuple(self.proposals.values())
        self.proposals.clear()
        if handles:
            self.emit(Rejected(handles, reason, detail, begun=True))

    def reply(
        self, reply_to: Any, response: Any, *, durable: bool = True, of_term: bool = False
    ) -> None:
        """Answer a peer, as a rule after what the answer relies on is durable.

        With `of_term` it relies on term and vote alone.
        """
        effect = Reply(reply_to, response)
        if durable:
            self.when_durable(effect, of_term=of_term)
        else:
            self.emit(effect)

    def next_rpc_id(self) -> int:
        """A number for a request, rising."""
        self.last_rpc_id += 1
        return self.last_rpc_id

    def send(self, to: Server, request: AnyRequest) -> int:
        """Send a request to a peer; its number."""
        assert request.term == self.term or type(request) is PreVoteRequest, "speaks in its term"
        rpc_id = self.last_rpc_id = self.last_rpc_id + 1
        self.emit_in_term(Send(rpc_id, to, request))
        return rpc_id

    def emit_in_term(self, effect: Effect) -> None:
        """To be done when term and vote are durable: at once, unless a candidate asks for votes."""
        if self.outbox.hard_state_pending():
            self.when_durable(effect)
        else:
            self.outbox.emit(effect)

    # -- term, role and time --------------------------------------------------------------------

    def set_hard_state(self, state: HardState) -> None:
        """Change term or vote; durable with this step."""
        assert state.term >= self.hard_state.term, "the term never falls"
        self.hard_state = self.outbox.hard_state = state

    def _random_timeout(self) -> float:
        base = self.settings.election_timeout_s
        return base + base * self.rng.random()

    def touch_election_timer(self) -> None:
        """Start a new wait for a leader; never less than what was promised to the last one."""
        self.election_deadline = max(self.now + self._random_timeout(), self.promised_until)

    def hear_leader(self) -> None:
        """A leader was heard now: promise it an election timeout, and wait as long.

        What was promised under longer settings stays: a lease may rely on it.
        """
        self.contact_at = self.now
        until = self.now + self.settings.election_timeout_s
        self.promised_until = max(self.promised_until, until)
        self.touch_election_timer()

    def become_follower(self, term: int, cause: str, leader: tuple[str, str] = ("", "")) -> None:
        """Follow `leader` (id, address; empty if unknown) in `term`."""
        assert term >= self.term, "no node goes back to an older term (Raft 5.1)"
        led = self.leader is not None
        changed = term > self.term or self.role is not Role.FOLLOWER or self.leader_id != leader[0]
        if term > self.term:
            self.set_hard_state(
                HardState(term, self.hard_state.voted_for, self.hard_state.vote_term)
            )
        if self.leader is not None:
            self.leader.resign()
            self.leader = None
        self.campaign = None
        self.role = Role.FOLLOWER
        self.leader_id, self.leader_address = leader
        if led or not leader[0]:
            self.touch_election_timer()
        if changed:
            self.announce(cause)
        if leader[0]:
            self.settle_transfer(leader[0])

    def become_leader(self) -> None:
        """The majority has voted for this server in the current term."""
        assert self.campaign is not None
        assert not self.prepared, "a prepared server leads nobody in its epoch"
        # Election Safety (Raft 5.2): hearing another leader of this term ends the campaign.
        assert self.led_by[0] < self.term, "one leader a term"
        founding = self.log.last_term <= _FOUNDING_TERM
        cause = Cause.FOUNDED if founding else self.campaign.cause
        self.elected = Elected(self.term, cause, self.led_by[1])
        self.campaign = None
        self.role = Role.LEADER
        self.leader_id, self.leader_address = self.server_id, self.address
        self.led_by = (self.term, self.server_id)
        self.leader = self._take_office()
        self.announce("won the election")
        self.settle_transfer(self.server_id)
        self.leader.start()

    def _take_office(self) -> Office:
        """Make what leads; the rules stand above this module: `node.Node` does."""
        raise NotImplementedError

    def settle_transfer(self, leader_id: str) -> None:
        """An election has ended a transfer of leadership that was under way."""
        if self.transfer is None:
            return
        handle, target, _ = self.transfer
        self.transfer = None
        if leader_id == target:
            self.emit(Done(handle, leader_id))
        else:
            self.reject((handle,), Reason.TRANSFER_LOST, leader_id)

    def announce(self, cause: str) -> None:
        """Tell the observers about role, term and leader."""
        self.emit(RoleChanged(self.role, self.term, self.leader_id, self.leader_address, cause))

    # -- log and configuration ------------------------------------------------------------------

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Add entries to the log, durable with this step, and use configurations in them."""
        assert not self.prepared, "the log of a prepared server stays as its plan has found it"
        self.outbox.entries += entries
        self.log.append(entries)
        for entry, configuration in configurations_in(entries, self.codec):
            self._note_configuration(configuration, entry.index)
            self.emit(ConfigurationChanged(configuration, entry.index, committed=False))

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """True if a candidate with this end of its log may get a vote of this server (Raft 5.4.1).

        Without room on the disk, what waits for it does not count, as it would not after a restart:
        else a server that cannot lead would keep others from it that can, for want of entries which
        it has acknowledged to nobody (ours). What is committed always counts.
        """
        log = self.log
        if not self.storage_full:
            return log.up_to_date(last_index, last_term)
        end = max(log.stable_index, self.commit_index)
        return (last_term, last_index) >= (log.term(end), end)

    def vote_given_to(self, candidate: str, last_index: int, last_term: int) -> None:
        """A vote in this term, for a candidate with this end of its log.

        Entries that it lacks, and that wait for room here, may not be acknowledged any more: their
        leader could commit them without the one that is elected now.
        """
        assert not self.prepared, "a prepared server helps nobody to be elected in its epoch"
        if not self.log.up_to_date(last_index, last_term):
            self.acknowledges_from = self.term
        self.set_hard_state(HardState(self.term, candidate, self.term))
        self.touch_election_timer()

    def truncate_from(self, index: int) -> None:
        """Remove a conflicting end of the log, and a configuration that was in it."""
        assert not self.prepared, "the log of a prepared server stays as its plan has found it"
        assert index > self.commit_index, "a committed entry is never removed"
        assert not self.outbox.entries, "truncation comes before this step's entries"
        self.log.truncate_from(index)
        self.outbox.truncate_from = index
        assert self.committed_configuration_index < index, "a committed configuration stays"
        if self.configuration_index >= index:
            self.adopt_configuration(
                self.committed_configuration, self.committed_configuration_index
            )

    def reset_log(self, index: int, term: int) -> None:
        """A snapshot takes the place of the whole log, and of what is not applied yet."""
        assert not self.prepared, "the log of a prepared server stays as its plan has found it"
        assert index > self.commit_index, "what is committed is never given up"
        self.reject_proposals(Reason.LEADERSHIP_LOST)
        self.log.reset_to(index, term)
        self.outbox.reset_to = (index, term)
        self.commit_index = self.applying_index = index

    def compact_to(self, index: int) -> None:
        """Forget `index` and all below, which a snapshot contains."""
        # A committed entry is in the snapshot or in the log, on each server (Raft 7).
        assert index <= self.commit_index, "only committed entries are compacted"
        if index >= self.log.first_index:
            self.log.compact_to(index)
            self.outbox.compact_to = index

    def _note_configuration(self, configuration: Configuration, index: int) -> None:
        # At most one is uncommitted: the one before must have been committed.
        assert index > self.configuration_index, "configurations follow one another in the log"
        self.committed_configuration = self.configuration
        self.committed_configuration_index = self.configuration_index
        self.configuration = configuration
        self.configuration_index = index
        self._locate_leader()

    def _locate_leader(self) -> None:
        """The configuration may say now where the leader is, or that it has moved."""
        address = self.address_of(self.leader_id) if self.leader_id else ""
        if self.leader is None and address != self.leader_address:
            self.leader_address = address
            self.announce("the configuration says where the leader is")

    def adopt_configuration(self, configuration: Configuration, index: int) -> None:
        """Take over a committed configuration (from a snapshot, or after a truncation)."""
        self.configuration = self.committed_configuration = configuration
        self.configuration_index = self.committed_configuration_index = index
        self._locate_leader()
        self.emit(ConfigurationChanged(configuration, index, committed=True))

    def commit_to(self, index: int) -> None:
        """Everything up to `index` is committed."""
        if index <= self.commit_index:
            return
        assert index <= self.log.last_index, "only what is here can be committed"
        self.commit_index = index
        if self.committed_configuration_index < self.configuration_index <= index:
            self.adopt_configuration(self.configuration, self.configuration_index)

    def apply_committed(self) -> None:
        """Give the next committed entries to the state machine, if it has done the last ones.

        One slice at a time, so that nobody's loop is held long.
        """
        if self.applying_index != self.applied_index or self.applied_index >= self.commit_index:
            return
        if self.machine_held or not self.machine_ready:
            return
        low = self.applied_index + 1
        limit = self.settings.apply_entries_max
        entries = self.log.entries(low, self.commit_index + 1, limit, _APPLY_BYTES_MAX)
        # State Machine Safety (Raft 5.4.3) rests on this: each index once, in order, none left out.
        assert entries[0].index == low, "entries are applied in order"
        assert entries[-1].index <= self.commit_index, "only committed entries are applied"
        self.applying_index = entries[-1].index
        handles = {}
        if self.proposals:
            for entry in entries:
                handle = self.proposals.pop(entry.index, None)
                if handle is not None:
                    handles[entry.index] = handle
        self.emit(Apply(entries, handles))

    def snapshot_point(self) -> tuple[int, int, Configuration, int] | None:
        """(index, term, configuration, its index) for a snapshot of what is applied now.

        None if nothing new is applied, while a recovery is prepared, while the newest committed
        configuration is above it, and while entries or a snapshot are on their way into the state
        machine: then what it holds is not known here.
        """
        if self.applying_index != self.applied_index or self.prepared:
            return None
        index = self.applied_index
        term = self.log.term(index)
        if index <= self.log.snapshot_index or not term:
            return None
        if self.committed_configuration_index > index:
            return None
        return (index, term, self.committed_configuration, self.committed_configuration_index)
