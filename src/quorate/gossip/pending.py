"""Open requests of a member: acks, answers over streams, answers to queries, its own departure.

Values and bookkeeping only; the rules that fill and empty them import `state`, not the reverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from quorate.gossip.messages import Ack, Address, Message, Query, QueryFlag, QueryResponse
from quorate.gossip.swim.table import Record


class Awaiting(Protocol):
    """The sender of a ping."""

    def on_ack(self, ack: Ack, source: Address) -> None:
        """The answer."""

    def on_nack(self) -> None:
        """A helper heard nothing."""


class ProbeTurns(Protocol):
    """The probe under way (`swim.probe.Prober`); `relayed` counts pings for others."""

    relayed: int

    def look_at(self, record: Record) -> None:
        """Probe it out of turn, if not many others do so already."""

    def finished(self) -> None:
        """The running probe is over."""


class Departure(Protocol):
    """The one leave of this member (`serf.leaving.Leave`)."""

    def wait(self, handle: Any) -> None:
        """Tell this one as well when it is done."""


class Streams:
    """The streams that this member asked for, and what waits for each."""

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[Message | None, str], None]] = {}
        self._last = 0

    def opened(self, then: Callable[[Message | None, str], None]) -> int:
        """A handle for a stream; `then` gets the answer, or None and the reason."""
        self._last += 1
        self._waiting[self._last] = then
        return self._last

    def over(self, handle: int, message: Message | None, reason: str) -> None:
        """It is answered or has failed; an unknown handle is one that was answered already."""
        then = self._waiting.pop(handle, None)
        if then is not None:
            then(message, reason)


class OpenQuery(msgspec.Struct, frozen=True):
    """A question that was handed to the runtime; its answer is wanted until `deadline`."""

    query: Query
    deadline: float


class OpenQueries:
    """Those that wait for an answer: the oldest makes room when there are too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, OpenQuery] = {}
        self._last = 0

    def add(self, query: Query, deadline: float) -> int:
        """A handle for it."""
        self._last += 1
        self._open[self._last] = OpenQuery(query, deadline)
        if len(self._open) > self._limit:
            del self._open[next(iter(self._open))]
        return self._last

    def take(self, handle: int, now: float) -> Query | None:
        """The query, once; None if it is answered already or its time is over."""
        found = self._open.pop(handle, None)
        return found.query if found is not None and now <= found.deadline else None


class Asked:
    """One open question of this member."""

    __slots__ = ("acked", "answered", "on_answer", "on_done")

    def __init__(
        self,
        on_answer: Callable[[QueryResponse], None],
        on_done: Callable[[Asked], None],
    ) -> None:
        self.acked: dict[str, None] = {}
        self.answered: dict[str, None] = {}
        self.on_answer = on_answer
        self.on_done = on_done


class AskedQueries:
    """All that are open, by Lamport time and id."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], Asked] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, query: Query, asked: Asked) -> None:
        """Wait for what comes back."""
        self._open[query.ltime, query.id] = asked

    def close(self, query: Query) -> None:
        """Its time is over."""
        asked = self._open.pop((query.ltime, query.id), None)
        if asked is not None:
            asked.on_done(asked)

    def close_all(self) -> None:
        """Nothing more will be heard."""
        for key in list(self._open):
            asked = self._open.pop(key)
            asked.on_done(asked)

    def on_response(self, response: QueryResponse) -> None:
        """Each sender counts once, however many copies come through others."""
        asked = self._open.get((response.ltime, response.id))
        if asked is None:
            return
        seen = asked.acked if response.flags & QueryFlag.ACK else asked.answered
        if response.sender not in seen:
            seen[response.sender] = None
            asked.on_answer(response)
