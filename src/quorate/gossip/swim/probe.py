"""Failure detection: each member in turn is asked, directly, through others, by a stream.

The rules are SWIM's with Lifeguard's additions as memberlist has them (docs/wire.md#probing): a
direct ping; after `probe_timeout_s` pings through others, which say so if they hear nothing either,
and a ping over a stream; after the (scaled) interval the target is suspect.

Differs from memberlist: a member that another one suspects, or whose address is disputed, is asked
out of turn. A handful of others do so, whatever the size of the pool, so that the suspicion is
confirmed or refuted within two intervals instead of a whole round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quorate.errors import BadFrame
from quorate.gossip.effects import HeardByStreamOnly, Refusal, StreamRequest
from quorate.gossip.messages import (
    Ack,
    Address,
    IndirectPing,
    Nack,
    NodeState,
    Ping,
    Suspect,
)
from quorate.gossip.settings import Settings
from quorate.gossip.swim import merge
from quorate.gossip.swim.suspicion import confirmations_wanted
from quorate.gossip.swim.table import Record

if TYPE_CHECKING:
    from quorate.gossip.state import State

PROTOCOL_STREAM_PING: Final = 3
PROTOCOL_NACK: Final = 4
PROTOCOL_CRC: Final = 5
RELAYED_MAX: Final = 1024
OUT_OF_TURN_MAX: Final = 8


class Probe:
    """One round for one target."""

    def __init__(self, node: State, record: Record) -> None:
        self.node = node
        self.record = record
        self.sequence = node.next_sequence()
        self.sent_at = node.now
        self.incarnation = record.incarnation
        self.nacks_wanted = 0
        self.nacks = 0
        self.streamed = False
        self._send()
        settings = node.settings
        self._ask_others = node.later(settings.probe_timeout_s, self._go_indirect)
        patience = node.awareness.scaled(settings.probe_interval_s)
        self._end = node.later(patience, self._give_up)

    def _send(self) -> None:
        node, record = self.node, self.record
        node.awaiting[self.sequence] = self
        ping = Ping(self.sequence, record.name, node.address, node.name)
        if record.state is NodeState.ALIVE:
            node.send(record.address, ping)
        else:
            # It hears of the suspicion with the ping, and can refute at once.
            suspect = Suspect(record.incarnation, record.name, node.name)
            node.send(record.address, ping, suspect, crc=record.speaks(PROTOCOL_CRC))

    def on_ack(self, ack: Ack, _source: Address) -> None:
        """It is there."""
        node = self.node
        node.awareness.add(-1)
        known = node.roster.get(self.record.name)
        if known is not None:
            known.confirmed = True
        self._measure(ack.payload)
        self._over()

    def _measure(self, payload: bytes | None) -> None:
        # A helper's ack, which says nothing about the way from here to there, has no payload.
        node = self.node
        if payload is None or not node.settings.coordinates:
            return
        try:
            other = node.codec.decode_coordinate(payload)
        except BadFrame as error:
            node.refuse(Refusal.BAD_BYTES, self.record.address, error.text)
            return
        name = self.record.name
        if other is not None and not node.vivaldi.update(name, other, node.now - self.sent_at):
            node.refuse(Refusal.COORDINATE, self.record.address, name)

    def on_nack(self) -> None:
        """A helper is there, and heard nothing."""
        self.nacks += 1

    def _over(self) -> None:
        self._ask_others.cancel()
        self._end.cancel()
        self.node.awaiting.pop(self.sequence, None)
        self.node.prober.finished()

    def _go_indirect(self) -> None:
        node, record = self.node, self.record
        helpers = node.table.sample(node.settings.indirect_checks, self._can_help)
        for helper in helpers:
            wants_nack = helper.speaks(PROTOCOL_NACK)
            self.nacks_wanted += wants_nack
            ask = IndirectPing(
                self.sequence, record.address, record.name, wants_nack, node.address, node.name
            )
            node.send(helper.address, ask)
        if record.speaks(PROTOCOL_STREAM_PING):
            handle = node.streams.opened(self._stream_answered)
            ping = Ping(self.sequence, record.name, node.address, node.name)
            left = self._end.due - node.now
            node.emit(StreamRequest(handle, record.address, record.name, ping, left))

    def _can_help(self, record: Record) -> bool:
        return record is not self.record and self.node.is_alive_other(record)

    def _stream_answered(self, message: object, _reason: str) -> None:
        if isinstance(message, Ack) and message.sequence == self.sequence:
            self.streamed = True

    def _give_up(self) -> None:
        node, record = self.node, self.record
        self._over()
        # If helpers that should have said "nothing" said nothing at all, it may be us.
        missed = self.nacks_wanted - self.nacks if self.nacks_wanted else 1
        node.awareness.add(max(0, missed))
        if record.is_gone() or node.table.get(record.name) is not record:
            return
        if self.streamed:
            node.emit(HeardByStreamOnly(record.name, record.address))
            return
        if record.incarnation > self.incarnation:
            return  # it has spoken meanwhile, perhaps from another address
        merge.on_suspect(node, Suspect(record.incarnation, record.name, node.name), None)


def patience_of_helper_s(settings: Settings) -> float:
    """How long a helper waits before it says that it heard nothing.

    Differs from memberlist, whose helpers wait for `probe_timeout_s`: with its settings that is
    when the asker has given up already, so that every member that dies makes its peers believe
    that they are unwell themselves. Lifeguard says: 80 per cent of the time that is left.
    """
    left = settings.probe_interval_s - settings.probe_timeout_s
    return 0.8 * min(settings.probe_timeout_s, left)


class Relayed:
    """A ping on behalf of another member."""

    def __init__(self, node: State, ask: IndirectPing, source: Address) -> None:
        self.node = node
        self.ask = ask
        self.asker = ask.source or source
        self.sequence = node.next_sequence()
        node.awaiting[self.sequence] = self
        node.send(ask.target, Ping(self.sequence, ask.node, node.address, node.name))
        self._timer = node.later(patience_of_helper_s(node.settings), self._nothing)

    def on_ack(self, _ack: Ack, _source: Address) -> None:
        """It is there: tell who asked."""
        self._over()
        self.node.send(self.asker, Ack(self.ask.sequence))

    def on_nack(self) -> None:
        """Nobody was asked to send one."""

    def _nothing(self) -> None:
        self._over()
        if self.ask.wants_nack:
            self.node.send(self.asker, Nack(self.ask.sequence))

    def _over(self) -> None:
        self._timer.cancel()
        self.node.awaiting.pop(self.sequence, None)
        self.node.prober.relayed -= 1


class Prober:
    """Probe the next member. At most one probe runs at a time."""

    def __init__(self, node: State) -> None:
        self._node = node
        self._running: Probe | None = None
        self._late = False  # the interval went by while a probe was running
        self._first: list[Record] = []
        self.relayed = 0
        interval = node.settings.probe_interval_s
        node.later(interval * node.rng.random(), self._next)

    def look_at(self, record: Record) -> None:
        """Probe it out of turn, if not many others do so already."""
        node = self._node
        settings = node.settings
        members = len(node.table)
        # As many as can shorten the suspicion, and as many again for those that are cut off.
        wanted = 2 * (confirmations_wanted(settings, members) + 2)
        if record in self._first or len(self._first) >= OUT_OF_TURN_MAX:
            return
        if node.rng.random() * members < wanted:
            self._first.append(record)

    def finished(self) -> None:
        """The running probe is over."""
        self._running = None
        if self._late:
            self._late = False
            self._begin()

    def _next(self) -> None:
        node = self._node
        node.later(node.settings.probe_interval_s, self._next)
        if self._running is not None:
            self._late = True
        else:
            self._begin()

    def _begin(self) -> None:
        node = self._node
        while self._first:
            record = self._first.pop(0)
            if node.table.get(record.name) is record and self._is_target(record):
                self._running = Probe(node, record)
                return
        target = node.table.next_to_probe(self._is_target, self._is_expired)
        if target is not None:
            self._running = Probe(node, target)

    def _is_target(self, record: Record) -> bool:
        return record.name != self._node.name and not record.is_gone()

    def _is_expired(self, record: Record) -> bool:
        node = self._node
        gone_for = node.now - record.changed_at
        return record.is_gone() and gone_for > node.settings.gossip_to_the_dead_s


# -- messages ------------------------------------------------------------------------------------


def own_coordinate(node: State) -> bytes | None:
    """The coordinate that an ack carries."""
    if not node.settings.coordinates:
        return None
    coordinate = node.vivaldi.coordinate
    if node.encoded_coordinate is None or node.encoded_coordinate[0] is not coordinate:
        node.encoded_coordinate = (coordinate, node.codec.encode_coordinate(coordinate))
    return node.encoded_coordinate[1]


def on_ping(node: State, ping: Ping, source: Address) -> None:
    """Answer, if it is meant for this member."""
    if ping.node and ping.node != node.name:
        node.refuse(Refusal.WRONG_NODE, source, ping.node)
        return
    node.send(ping.source or source, Ack(ping.sequence, own_coordinate(node)))


def on_indirect_ping(node: State, ask: IndirectPing, source: Address) -> None:
    """Ask a member on behalf of another."""
    if node.prober.relayed >= RELAYED_MAX:
        node.refuse(Refusal.TABLE_FULL, source, "indirect pings")
        return
    node.prober.relayed += 1
    Relayed(node, ask, source)


def on_ack(node: State, ack: Ack, source: Address) -> None:
    """The target answered."""
    waiting = node.awaiting.get(ack.sequence)
    if waiting is not None:
        waiting.on_ack(ack, source)


def on_nack(node: State, nack: Nack, _source: Address) -> None:
    """A helper is there, and heard nothing."""
    waiting = node.awaiting.get(nack.sequence)
    if waiting is not None:
        waiting.on_nack()
