"""Two members with one name (docs/wire.md#merging and #events-and-queries).

About another's name this member only reports. About its own it must find out whether it is the
one to go. Differs from Serf in the first step: it asks the other address whether anybody of this
name is there at all. After a restart with a new address the pool still tells of the old one, and
a vote would be lost to a ghost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.errors import BadFrame
from quorate.gossip.effects import ConflictFound, NameLost
from quorate.gossip.events import SendQuery
from quorate.gossip.messages import (
    Ack,
    Address,
    ConflictResponse,
    Ping,
    QueryResponse,
)
from quorate.gossip.pending import Asked
from quorate.gossip.serf import asking
from quorate.gossip.swim.table import Record

if TYPE_CHECKING:
    from quorate.gossip.state import State


def found(node: State, record: Record, other: Address) -> None:
    """Two addresses for another member's name."""
    node.emit(ConflictFound(record.name, record.address, other, ours=False))


def found_own(node: State, other: Address) -> None:
    """Another address for this member's name: is anybody there? One question at a time."""
    if node.rival is None:
        node.rival = Rival(node, other)


class Rival:
    """A member that may have this member's name at another address."""

    def __init__(self, node: State, address: Address) -> None:
        self.node = node
        self.address = address
        self._is_there = False
        self._answers: list[QueryResponse] = []
        # No source address: the answer then shows from where it comes.
        sequence = node.next_sequence()
        patience = node.awareness.scaled(node.settings.probe_interval_s)
        node.await_ack(sequence, self, patience)
        node.send(address, Ping(sequence, node.name))
        node.later(patience, self._time_over)

    def on_ack(self, _ack: Ack, source: Address) -> None:
        """It lives. An answer from ourselves, by whatever detour, is none."""
        if source != self.node.address and not self._is_there:
            self._is_there = True
            self._ask_all()

    def on_nack(self) -> None:
        """Nobody was asked to send one."""

    def _time_over(self) -> None:
        if not self._is_there:
            self.node.rival = None

    def _ask_all(self) -> None:
        node = self.node
        node.emit(ConflictFound(node.name, node.address, self.address, ours=True))
        if not node.settings.resolve_conflicts:
            node.rival = None
            return
        asked = Asked(asking.answers_of(self._answers), self._count)
        asking.ask(node, SendQuery(None, "_serf_conflict", node.name.encode()), asked)

    def _count(self, _asked: Asked) -> None:
        node = self.node
        node.rival = None
        addresses = [address for address in map(self._voted_for, self._answers) if address]
        ours = sum(address == node.address for address in addresses)
        if addresses and ours < len(addresses) // 2 + 1:
            node.emit(NameLost(node.name, self.address, ours, len(addresses)))

    def _voted_for(self, response: QueryResponse) -> Address | None:
        try:
            message = self.node.codec.decode_serf(response.payload or b"")
        except BadFrame:
            return None
        if not isinstance(message, ConflictResponse) or message.member is None:
            return None
        return message.member.address if message.member.name == self.node.name else None
