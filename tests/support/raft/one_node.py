"""A single node between the test's hands: its disk is at once durable unless the test holds it."""

from __future__ import annotations

from random import Random
from typing import Any

from quorate.raft import Configuration, Entry, EntryKind, HardState, Node, Server, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.values import messages as msg
from quorate.testing.sim.machines.disk import SimDisk
from quorate.wire.raft import membership as codec

THREE = Configuration(tuple(Server(n, f"{n}:1") for n in "abc"))


def log_of(*terms: int, members: Configuration = THREE) -> list[Entry]:
    """A log with entries of these terms; the first is the configuration."""
    first = Entry(1, terms[0], EntryKind.CONFIGURATION, codec.encode_configuration(members))
    more = [Entry(i, t, EntryKind.COMMAND, b"%d.%d" % (i, t)) for i, t in enumerate(terms[1:], 2)]
    return [first, *more]


class OneNode:
    """Node `a` of a, b, c, past its first election timeout."""

    def __init__(
        self,
        *terms: int,
        term: int = 0,
        settings: Settings | None = None,
        members: Configuration = THREE,
    ) -> None:
        entries = log_of(*(terms or (1,)), members=members)
        self.disk = SimDisk(log=entries, hard_state=HardState(term or entries[-1].term))
        self.now = 0.0
        self.node = Node(
            server_id="a",
            address="a:1",
            settings=settings or Settings(),
            reader=self.disk.store,
            hard_state=self.disk.hard_state,
            codec=codec,
            rng=Random(1),
            now=self.now,
        )
        self.held: list[fx.Persist] | None = None  # writes that the disk has not done
        self.now = 0.5

    def step(self, event: Any) -> list[Any]:
        """Give an event; all effects, those released by the disk too."""
        out = []
        for effect in self.node.step(event, self.now):
            out.append(effect)
            if isinstance(effect, fx.Persist):
                if self.held is None:
                    out += self._write(effect)
                else:
                    self.held.append(effect)
        return out

    def _write(self, persist: fx.Persist) -> list[Any]:
        self.disk.write(persist)
        return [*persist.then, *self.step(ev.Persisted(persist.sequence))]

    def release(self) -> list[Any]:
        """The disk does what it held."""
        held, self.held = self.held or [], None
        return [effect for persist in held for effect in self._write(persist)]

    def ask(self, request: msg.AnyRequest) -> Any:
        """A peer asks; the answer, or None while there is none."""
        answers = replies(self.step(ev.RequestReceived("r", request)))
        return answers[0] if answers else None

    def lead(self) -> list[Any]:
        """Win an election with b's votes; the appends that follow."""
        self.now = max(self.now, self.node.election_deadline)
        self.now += 0.001
        asked = sends(self.step(ev.Tick()), msg.PreVoteRequest)
        answer: Any = msg.PreVoteResponse(term=self.node.term, granted=True)
        asked = sends(self.step(ev.ResponseReceived("b", asked[0].rpc_id, answer)))
        answer = msg.RequestVoteResponse(term=self.node.term, granted=True)
        out = self.step(ev.ResponseReceived("b", asked[0].rpc_id, answer))
        assert self.node.leader is not None
        return [e for e in sends(out, msg.AppendEntriesRequest) if e.request.entries]

    def accept(self, send: fx.Send) -> list[Any]:
        """The peer stores what was sent."""
        answer = msg.AppendEntriesResponse(term=self.node.term, last_log=0, success=True)
        return self.step(ev.ResponseReceived(send.to.id, send.rpc_id, answer))

    def terms(self) -> list[int | None]:
        """The terms of its log."""
        return [self.node.log.term(i) for i in range(1, self.node.log.last_index + 1)]


def sends(effects: list[Any], kind: type = msg.Request) -> list[Any]:
    """The requests among effects."""
    return [e for e in effects if isinstance(e, fx.Send) and isinstance(e.request, kind)]


def replies(effects: list[Any]) -> list[Any]:
    """The answers among effects."""
    return [e.response for e in effects if isinstance(e, fx.Reply)]


def append(term: int, prev: tuple[int, int], *terms: int, commit: int = 0) -> Any:
    """Leader b's append of entries with these terms after `prev` (index, term)."""
    entries = tuple(
        Entry(i, t, EntryKind.COMMAND, b"%d.%d" % (i, t)) for i, t in enumerate(terms, prev[0] + 1)
    )
    return msg.AppendEntriesRequest(
        term=term,
        sender_id="b",
        sender_address="b:1",
        leader="b:1",
        prev_log_index=prev[0],
        prev_log_term=prev[1],
        entries=entries,
        leader_commit=commit,
    )


def vote(candidate: str, term: int, log: tuple[int, int], **more: Any) -> msg.RequestVoteRequest:
    """A candidate's request; `log` is its last (index, term)."""
    return msg.RequestVoteRequest(
        term=term,
        sender_id=candidate,
        sender_address=f"{candidate}:1",
        candidate=f"{candidate}:1",
        last_log_index=log[0],
        last_log_term=log[1],
        **more,
    )
