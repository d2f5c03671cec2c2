"""A leader's record of one peer (Raft Figure 2: nextIndex, matchIndex; thesis 10.2.1).

Invariants: `match_index` < `next_index`; `match_index` never falls while this leader leads, unless
the peer proves that it has lost what it had acknowledged (its disk was wiped); in PROBE at most
one append is in flight, in SNAPSHOT none.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from quorate.raft.values.configuration import Server


class Mode(Enum):
    """How the peer is fed."""

    PROBE = "probe"  # one append at a time, until the logs are known to meet
    PIPELINE = "pipeline"  # several appends in flight, sent without waiting
    SNAPSHOT = "snapshot"  # too far behind the log: a snapshot is on its way


class Flight(msgspec.Struct, frozen=True, gc=False):
    """One append on its way: the entries prev_index+1 ... last_index, sent at `sent_at`.

    `known` says that the peer had acknowledged `prev_index` before this was sent: if it refuses
    nevertheless, it has lost its log.
    """

    prev_index: int
    last_index: int
    sent_at: float
    known: bool


class Progress(msgspec.Struct, kw_only=True):
    """See the module."""

    server: Server
    next_index: int
    since: float = float("-inf")  # when this leader began to feed it
    match_index: int = 0
    mode: Mode = Mode.PROBE
    appends: dict[int, Flight] = msgspec.field(default_factory=dict)
    heartbeats: dict[int, float] = msgspec.field(default_factory=dict)
    snapshot_rpc: int = 0
    snapshot_index: int = 0
    rejections: int = 0
    failures: int = 0  # appends in a row without an answer
    retry_at: float = 0.0
    no_room_until: float = 0.0  # it could not store entries: none are sent before that
    append_at: float = 0.0  # when the newest append was sent
    commit_sent: int = 0
    # Until when, by the leader's clock, the promises that it gave can be relied on.
    promised_until: float = float("-inf")
    # Highest rpc_id it acknowledged as follower of this leader; proves leadership for reads.
    acknowledged_rpc: int = 0
    # When any answer came to this leader; before the first one it proves nothing.
    contact_at: float = float("-inf")
    leaving_until: float | None = None  # removed from the configuration: fed until then

    def restart_probe(self) -> None:
        """Forget what is in flight and find out again where the logs meet.

        From the first entry whose fate is unknown: a peer that was only away for a while must not
        get the whole log, or a snapshot, again.
        """
        for flight in self.appends.values():
            self.next_index = min(self.next_index, flight.prev_index + 1)
        self.appends.clear()
        self.mode = Mode.PROBE
        self.next_index = max(self.next_index, self.match_index + 1)
        self._check()

    def _check(self) -> None:
        """After every change; an append below `match_index` could cut what it acknowledged."""
        assert 0 <= self.match_index < self.next_index, "the next entry follows the stored ones"

    def advance(self, index: int) -> bool:
        """The peer stores everything up to `index`. True if that is news."""
        self.rejections = 0
        if self.next_index <= index:
            self.next_index = index + 1
        if index <= self.match_index:
            return False
        self.match_index = index
        self._check()
        return True

    def back_off(self, flight: Flight, hint: int) -> None:
        """The peer has no entry like ours at the flight's start; its hint: try after `hint`.

        Peers of other makes send their last index as the hint, which says nothing about a
        conflict inside the log: then the step doubles with every rejection.
        """
        if flight.known:
            self.match_index = 0
        step = 1 << min(self.rejections, 12)
        self.rejections += 1
        self.appends.clear()
        self.mode = Mode.PROBE
        self.next_index = max(min(flight.prev_index - step, hint), self.match_index) + 1
        self._check()
