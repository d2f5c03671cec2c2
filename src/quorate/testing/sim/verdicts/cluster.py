"""The truth of a simulated cluster, kept apart from the nodes, and what must always hold.

Raft Figure 3: election safety, leader append-only, log matching, leader completeness, state
machine safety. Beyond it: a vote once per term; success only for what is durable; commitment only
by a durable majority; one uncommitted configuration at most; term and commit index never fall;
no stale read; no acknowledged write lost; no handle answered twice.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from quorate.raft.effects import Apply, Persist, Role
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    EntryKind,
    PreVoteRequest,
    RequestVoteRequest,
    RequestVoteResponse,
)
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.machines.machine import SimMachine
from quorate.testing.sim.verdicts.violations import ViolationError, expect


@dataclass(slots=True)
class Handle:
    """The operation for which a client waits: a write, read, change or transfer at one server."""

    name: str
    kind: str
    host: str
    incarnation: int
    floor: int  # every write up to this index was acknowledged before this was asked
    data: bytes = b""
    asked_at: float = 0.0
    forced: bool = False
    index: int = 0  # of the entry, once it is applied
    by_lease: bool = False  # a read without a round, where the settings allow it
    by_stopped_clock: bool = False  # and by a leader whose clock has stood still shortly before
    answer: str = ""
    on_answer: Callable[[str, Any], object] | None = None  # the answer, and what was found
    settle: Callable[[Handle, Any, BaseException | None], object] | None = None
    error: BaseException | None = None  # what the driver has answered, if it was not done
    look: Callable[[SimMachine], Any] | None = None  # what a read finds, if it is no register

    def done(self) -> bool:
        """Never: its client does not give it up, and a second answer would be a violation."""
        return False

    def set_result(self, result: Any, /) -> None:
        """The driver has done it."""
        assert self.settle is not None
        self.settle(self, result, None)

    def set_exception(self, error: BaseException, /) -> None:
        """The driver has not."""
        assert self.settle is not None
        self.settle(self, None, error)

    def __str__(self) -> str:
        return self.name


class Checker:
    """See the module."""

    def __init__(self) -> None:
        # False when clocks run further apart than the lease allows: then only reads may be stale.
        self.leases_hold = True
        self.states: dict[int, bytes] = {}  # index -> digest of the real state there
        self.leaders: dict[int, tuple[str, int]] = {}
        self.entries: dict[tuple[int, int], tuple[Any, int | None]] = {}
        self.committed: dict[int, int] = {}  # index -> term
        self.committed_in: dict[int, int] = {}  # index -> term of the leader that did it
        self.configurations: list[int] = []  # the committed ones, by index
        self.digests: dict[int, int] = {}
        self.votes: dict[tuple[str, int, int], str] = {}
        self.acknowledged: dict[int, bytes] = {}
        self.floor = 0  # highest index that any client has seen to hold
        self._seen: dict[tuple[str, int], tuple[int, int, int, int]] = {}

    def begin_at(self, index: int, state: bytes) -> None:
        """A server of a cluster that was recovered begins with the state of this digest."""
        self.states[index] = state
        self.digests[index] = crc32(state)

    # -- after every step -------------------------------------------------------------------

    def after_step(self, host: Host, members: dict[str, Host]) -> None:
        """Check the node that has just moved.

        This runs after every step: what is as it should be must cost next to nothing.
        """
        node = host.live
        key = (host.name, host.incarnation)
        seen = self._seen.get(key) or (host.disk.hard_state.term, 0, 0, 0)
        leading = node.hard_state.term if node.role is Role.LEADER else 0
        now = (node.hard_state.term, node.commit_index, leading, node.log.last_index)
        if now == seen:
            return
        self._seen[key] = now
        term, commit, led, last = seen
        expect(node.term >= term, f"the term fell from {term} to {node.term}")
        expect(node.commit_index >= commit, f"commit fell from {commit} to {node.commit_index}")
        expect((node.leader is not None) == bool(leading), "role and duty differ")
        if leading:
            owner = self.leaders.setdefault(node.term, key)
            expect(owner == key, f"{owner} and {key} lead in term {node.term}")
            committed = node.configuration_index <= node.commit_index
            expect(
                node.is_voter() or not committed,
                f"{host.name} leads without a vote in the committed configuration",
            )
            if led != leading:
                self._leader_is_complete(host)
                expect(not node.machine_damaged, f"{host.name} leads with a damaged state")
                expect(host.disk.newer is None, f"{host.name} leads on an old copy of its disk")
            else:
                expect(node.log.last_index >= last, "a leader's log shrank")
        if node.commit_index > commit:
            if leading and led == leading:
                newest = node.log.term(node.commit_index)
                expect(newest == leading, f"committed an entry of term {newest} by counting")
            self._note_committed(host, commit, members if leading else None)
            at = bisect_right(self.configurations, node.commit_index)
            newest = self.configurations[at - 1] if at else 0
            expect(
                node.configuration_index >= newest,
                f"{host.name} goes by configuration {node.configuration_index}, not by {newest}",
            )

    def _leader_is_complete(self, host: Host) -> None:
        log = host.live.log
        for index, term in self.committed.items():
            # A late winner of an old term knows nothing of what a newer one committed.
            if index > log.snapshot_index and self.committed_in[index] < host.live.term:
                expect(
                    log.term(index) == term,
                    f"leader of term {host.live.term} lacks committed {index}/{term}",
                )

    def _note_committed(self, host: Host, before: int, members: dict[str, Host] | None) -> None:
        node = host.live
        for index in range(before + 1, node.commit_index + 1):
            term = node.log.term(index)
            if term is None:
                continue  # inside a snapshot: its last entry and its digest are compared
            known = self.committed.get(index)
            if known is not None:
                expect(known == term, f"{index} committed as {known} and as {term}")
                continue
            self.committed[index] = term
            self.committed_in[index] = node.term
            entry = self.entries.get((index, term))  # None: a disk held it from the start
            if entry is not None and entry[0][2] == EntryKind.CONFIGURATION:
                insort(self.configurations, index)
            if members is not None:
                voters = node.configuration.voters()
                holders = [v.id for v in voters if members[v.id].disk.holds(index, term)]
                expect(
                    len(holders) >= node.configuration.quorum(),
                    f"{index}/{term} committed but durable only on {holders}",
                )

    # -- logs -------------------------------------------------------------------------------

    def persisting(self, host: Host, persist: Persist) -> None:
        """Every entry that enters a log passes here: log matching, by induction."""
        node = host.live
        if persist.truncate_from:
            expect(node.leader is None, "a leader truncates its log")
            expect(persist.truncate_from > node.log.snapshot_index, "truncated into the snapshot")
        if persist.reset_to:
            index, term = persist.reset_to
            kept = host.disk.last_index() <= index or host.disk.term(index) != term
            expect(kept, "dropped entries that follow the snapshot and may be acknowledged")
        if persist.truncate_from or persist.reset_to:
            self._newest_configuration(host)
        for entry in persist.entries:
            self._matches(entry, node.log.term(entry.index - 1))
            if entry.kind == EntryKind.CONFIGURATION and node.leader is not None:
                self._one_configuration(host, entry)

    def _matches(self, entry: Entry, before: int | None) -> None:
        value = (entry.value(), before)
        known = self.entries.setdefault((entry.index, entry.term), value)
        expect(known[0] == value[0], f"two entries {entry.index}/{entry.term}")
        if before is not None and known[1] is not None:
            expect(known[1] == before, f"{entry.index}/{entry.term} follows on two terms")

    def _newest_configuration(self, host: Host) -> None:
        node = host.live
        log = node.log
        found = max(
            (
                index
                for index in range(log.first_index, log.last_index + 1)
                if log.entries(index, index + 1, 1, 1 << 60)[0].kind == EntryKind.CONFIGURATION
            ),
            default=0,
        )
        now = node.configuration_index
        expect(now >= found, f"configuration {found} is not in force")
        expect(now <= max(found, log.snapshot_index), "a truncated configuration is in force")

    def _one_configuration(self, host: Host, entry: Entry) -> None:
        log = host.live.log
        own = log.term(host.live.commit_index)
        expect(own == host.live.term, "changed the membership before an entry of its own term")
        low = max(log.first_index, host.live.commit_index + 1)
        for index in range(low, entry.index):
            (other,) = log.entries(index, index + 1, 1, 1 << 60)
            expect(other.kind != EntryKind.CONFIGURATION, "two uncommitted configurations")

    def sending(self, host: Host, request: Any) -> None:
        """A request leaves `host`: the term it speaks in must be durable."""
        if isinstance(request, PreVoteRequest):
            return
        state = host.disk.hard_state
        if state.term < request.term:
            raise ViolationError(f"speaks in term {request.term}, which is not durable")
        if isinstance(request, RequestVoteRequest) and state.vote_term == request.term:
            expect(state.voted_for == host.server_id, "campaigns, and voted for another")

    def weighed(self, host: Host, persist: Persist, hosts: dict[str, Host]) -> None:
        """A vote is taken away only if a majority of those that remain lived when it was asked.

        The word of a host that has no node since then counts as that of one that died meanwhile.
        """
        node = host.live
        for entry in persist.entries if node.leader is not None else ():
            handle = node.proposals.get(entry.index)
            if entry.kind != EntryKind.CONFIGURATION or not isinstance(handle, Handle):
                continue
            after, before = node.configuration, node.committed_configuration
            if handle.forced or all(after.is_voter(s.id) for s in before.voters()):
                continue
            live = [
                voter.id
                for voter in after.voters()
                if hosts[voter.id].node or hosts[voter.id].down_since > handle.asked_at
            ]
            expect(
                len(live) >= after.quorum(), f"{handle} leaves only {live} alive, not a majority"
            )

    # -- answers to peers -------------------------------------------------------------------

    def replying(self, host: Host, request: Any, response: Any) -> None:
        """An answer leaves `host`: what it says must be durable."""
        if isinstance(response, RequestVoteResponse) and response.granted:
            expect(isinstance(request, RequestVoteRequest), "a vote without being asked")
            expect(host.disk.newer is None, f"{host.name} votes on an old copy of its disk")
            state = host.disk.hard_state
            expect(state.term >= request.term, "voted, and the term is not durable")
            key = (host.name, host.disk.generation, request.term)
            given = self.votes.setdefault(key, request.candidate)
            expect(given == request.candidate, f"{key} voted for {given} and {request.candidate}")
            if state.vote_term == request.term:
                expect(state.voted_for == request.sender_id, "answered another vote than stored")
            else:
                expect(state.vote_term > request.term, "voted, and the vote is not durable")
        if isinstance(response, AppendEntriesResponse) and response.success:
            expect(isinstance(request, AppendEntriesRequest), "an append without being asked")
            expect(host.disk.hard_state.term >= request.term, "accepted in a term not durable")
            last = request.entries[-1] if request.entries else None
            if last and not host.disk.holds(last.index, last.term):
                raise ViolationError(f"acknowledged {last.index}/{last.term}, which is not durable")

    # -- clients ----------------------------------------------------------------------------

    def applying(self, host: Host, effect: Apply) -> None:
        """Entries are given to the state machine: those that follow, as they were committed."""
        expected = host.live.applied_index
        for entry in effect.entries:
            expected += 1
            expect(entry.index == expected, "applied out of order")
            known = self.committed.get(entry.index, entry.term)
            expect(known == entry.term, f"{entry.index}/{entry.term} is applied, not {known}")

    def in_order(self, machine: SimMachine, index: int) -> None:
        """The machine is given the command at `index`."""
        expect(index > machine.index, f"{index} is applied after {machine.index}")

    def applied(self, machine: SimMachine) -> None:
        """State machine safety: the same commands in the same order everywhere."""
        known = self.digests.setdefault(machine.index, machine.digest)
        expect(known == machine.digest, f"state at {machine.index} differs")

    def snapshot_taken(self, machine: SimMachine, index: int) -> None:
        """Remember the state that a snapshot labelled with `index` must give back."""
        newest = self._last_command(index)
        expect(
            machine.index == newest,
            f"a snapshot at {index}, whose last command is {newest}, of the state at "
            f"{machine.index}",
        )
        changed = machine.store.changed_in_memory()
        expect(not changed, f"what is kept of {changed} is not what its rows say")
        digest = machine.store.digest()
        known = self.states.setdefault(index, digest)
        expect(known == digest, f"two states at {index}")

    def restored(self, machine: SimMachine, index: int) -> tuple[int, int]:
        """A snapshot was read into a machine: it must be the state that was there.

        Index and digest of the last command in it.
        """
        expect(index in self.states, f"a snapshot at {index}, where none was taken")
        expect(self.states[index] == machine.store.digest(), f"restored another state at {index}")
        newest = self._last_command(index)
        return newest, self.digests.get(newest, 0)

    def _last_command(self, index: int) -> int:
        return max((known for known in self.digests if known <= index), default=0)

    def write_done(self, handle: Handle, index: int, result: Any = None) -> None:
        """A write or change is acknowledged at `index`."""
        term = self.committed.get(index)
        expect(term is not None, "acknowledged without commit")
        assert term is not None
        entry, _ = self.entries[index, term]
        data = entry[3]
        if handle.kind == "write":
            expect(data == handle.data, f"{handle} was answered with another's entry")
            self.floor = max(self.floor, index)  # what every later read must show
        expect(index > handle.floor, f"{handle} took effect before it was asked")
        self.acknowledged[index] = data
        self._answer(handle, "done", (result, index))

    def read_done(self, handle: Handle, machine: SimMachine) -> None:
        """A read is answered from a state machine as it is."""
        observed = machine.index
        by_clock = handle.by_lease and (handle.by_stopped_clock or not self.leases_hold)
        if not by_clock:
            expect(
                observed >= handle.floor,
                f"stale read {handle}: saw {observed}, but {handle.floor} was acknowledged before",
            )
        self.floor = max(self.floor, observed)
        found = None
        if handle.look is not None:
            found = handle.look(machine)
        elif handle.on_answer:
            found = machine.read(handle.data.decode())
        self._answer(handle, "done", found)

    def ended(self, handle: Handle, answer: str) -> None:
        """A refusal, or a transfer that has succeeded."""
        self._answer(handle, answer)

    def _answer(self, handle: Handle, answer: str, found: Any = None) -> None:
        expect(not handle.answer, f"{handle} answered twice: {handle.answer}, {answer}")
        handle.answer = answer
        if handle.on_answer:
            handle.on_answer(answer, found)
