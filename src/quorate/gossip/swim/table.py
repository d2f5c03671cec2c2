"""SWIM's record of each name, in the order of probing; and the names that it has forgotten.

Invariants: an incarnation never falls while a name is known, nor when it comes back after having
been forgotten; there are never more than `members_max` names and `forgotten_max` forgotten ones.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from quorate.gossip.allowance import Allowance
from quorate.gossip.messages import Address, NodeState, Versions
from quorate.gossip.swim.suspicion import Suspicion

NEW_INCARNATION_MAX = 1 << 31
"""For a name that is new here. Honest ones count their refutations from 1."""

RISE_MAX = 1000
RISES_PER_S = 10
"""How far an incarnation may rise at once, and a second: by what others say of a member it could
else be brought to its end, where it can refute nothing any more. That way takes 6 years."""


class Record:
    """One name. `changed_at` is when its state last changed."""

    __slots__ = (
        *("address", "changed_at", "claim", "incarnation", "meta", "name"),
        *("rises", "state", "suspicion", "versions"),
    )

    def __init__(self, name: str, address: Address, now: float) -> None:
        self.name = name
        self.address = address
        self.meta: bytes | None = None
        self.versions: Versions | None = None
        self.incarnation = 0
        self.state = NodeState.DEAD
        self.changed_at = now
        self.suspicion: Suspicion | None = None
        # Another address that said it was this name while it lived here, and when.
        self.claim: tuple[Address, float] | None = None
        self.rises: Allowance | None = None  # made when it rises for the first time

    def is_gone(self) -> bool:
        """Dead, or has left."""
        return self.state is NodeState.DEAD or self.state is NodeState.LEFT

    def may_rise(self, incarnation: int, now: float) -> bool:
        """Whether the incarnation can be that, and if so the rise is counted."""
        if not self.incarnation:
            return incarnation <= NEW_INCARNATION_MAX
        if incarnation <= self.incarnation:
            return True
        if self.rises is None:
            self.rises = Allowance(float(RISE_MAX), float(RISES_PER_S), now)
        return self.rises.take(now, incarnation - self.incarnation)

    def speaks(self, protocol: int) -> bool:
        """Whether it understands what came with this version of memberlist's protocol."""
        return self.versions is not None and self.versions.protocol_max >= protocol

    def set_state(self, state: NodeState, now: float) -> None:
        """Change the state and end a running suspicion."""
        self.state = state
        self.changed_at = now
        self.clear_suspicion()

    def clear_suspicion(self) -> None:
        """End the suspicion, from any member."""
        if self.suspicion is not None:
            if self.suspicion.timer is not None:
                self.suspicion.timer.cancel()
            self.suspicion = None


class Forgotten:
    """The last state of names that are gone: older news about them is refused."""

    __slots__ = ("_limit", "_names")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: dict[str, tuple[Address, int, NodeState]] = {}

    def add(self, record: Record) -> None:
        """Remember that it is gone, with its last incarnation."""
        self._names.pop(record.name, None)
        self._names[record.name] = (record.address, record.incarnation, record.state)
        if len(self._names) > self._limit:
            del self._names[next(iter(self._names))]

    def get(self, name: str) -> tuple[Address, int, NodeState] | None:
        """Last address, incarnation and state; None if it was not forgotten."""
        return self._names.get(name)

    def take_back(self, name: str) -> None:
        """It lives again."""
        self._names.pop(name, None)


class Table:
    """See the module."""

    def __init__(self, rng: Random, forgotten_max: int) -> None:
        self.records: dict[str, Record] = {}
        self.forgotten = Forgotten(forgotten_max)
        self._rng = rng
        self._order: list[Record] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self.records)

    def get(self, name: str) -> Record | None:
        """The record of a name."""
        return self.records.get(name)

    def add(self, record: Record) -> None:
        """A new name, somewhere in the order: nobody can tell when it will be probed."""
        self.records[record.name] = record
        order = self._order
        order.append(record)
        place = self._rng.randrange(len(order))
        order[place], order[-1] = order[-1], order[place]

    def forget(self, record: Record) -> None:
        """Drop a name that is gone; it leaves the order with the next round."""
        if self.records.get(record.name) is record:
            del self.records[record.name]
            self.forgotten.add(record)

    def next_to_probe(
        self, wanted: Callable[[Record], bool], expired: Callable[[Record], bool]
    ) -> Record | None:
        """The next in the round that is `wanted`; a new round forgets the expired and shuffles."""
        for _ in range(2):
            while self._next < len(self._order):
                record = self._order[self._next]
                self._next += 1
                if wanted(record) and self.records.get(record.name) is record:
                    return record
            self._new_round(expired)
        return None

    def _new_round(self, expired: Callable[[Record], bool]) -> None:
        for record in [r for r in self.records.values() if expired(r)]:
            self.forget(record)
        self._order = list(self.records.values())
        self._rng.shuffle(self._order)
        self._next = 0

    def sample(self, count: int, wanted: Callable[[Record], bool]) -> list[Record]:
        """Up to `count` different ones at random; a few may be missed if few are `wanted`."""
        order = self._order
        size = len(order)
        if size <= 32:
            fits = [r for r in order if self.records.get(r.name) is r and wanted(r)]
            return fits if len(fits) <= count else self._rng.sample(fits, count)
        found: list[Record] = []
        draw = self._rng.random
        for _ in range(3 * size):
            if len(found) >= count:
                break
            record = order[int(draw() * size)]
            if record not in found and self.records.get(record.name) is record and wanted(record):
                found.append(record)
        return found
