"""The state of a member, and the few methods that change it; the base of `node.Node`.

The rules stand in modules of their own and take a member as their first argument: `merge` (alive,
suspect, dead), `probe`, `exchange` (push-pull and joins), `intents`, `user_events`, `queries`,
`asking`, `conflicts`, `leaving` and `upkeep`. Time, randomness and the byte formats come from
outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from quorate.errors import BadFrame
from quorate.gossip.allowance import Allowance
from quorate.gossip.codec import Codec
from quorate.gossip.effects import Effect, Refusal, Refused, SendPacket
from quorate.gossip.messages import (
    Address,
    Coordinate,
    Message,
    NodeState,
    SerfMessage,
    User,
    Versions,
)
from quorate.gossip.pending import (
    AskedQueries,
    Awaiting,
    Departure,
    OpenQueries,
    ProbeTurns,
    Streams,
)
from quorate.gossip.serf.clock import LamportClock
from quorate.gossip.serf.phase import Phase
from quorate.gossip.serf.ring import Ring
from quorate.gossip.serf.roster import Roster
from quorate.gossip.settings import PARTS_MAX, Settings
from quorate.gossip.swim.broadcasts import BroadcastQueue, retransmit_limit
from quorate.gossip.swim.suspicion import Awareness
from quorate.gossip.swim.table import Record, Table
from quorate.gossip.swim.vivaldi import Vivaldi
from quorate.gossip.timers import Timer, Timers

Admit = Callable[[str, Address, Mapping[str, str]], str]
"""Asked with name, address and tags of a member: why it is not wanted here; empty if it is."""

_PER_PART = 2
# The compound's head, and the checksum that a known member may be sent.
_PACKET_HEAD = 2 + 5
_ROOM_MIN = 24  # no news is smaller: do not look for any


class State:
    """See the module."""

    prober: ProbeTurns

    def __init__(
        self,
        *,
        name: str,
        address: Address,
        tags: Mapping[str, str],
        settings: Settings,
        codec: Codec,
        rng: Random,
        now: float,
        versions: Versions | None = None,
        admit: Admit | None = None,
        clocks: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """`address` is where others reach this member, `clocks` the last ones seen on disk.

        Raises ValueError if the tags are over 512 bytes encoded.
        """
        self.name = name
        self.address = address
        self.tags = dict(tags)
        self.meta: bytes = codec.encode_tags(tags)
        self.settings = settings
        self.codec = codec
        self.rng = rng
        self.now = now
        self.versions = versions or Versions()
        self.admit: Admit = admit or (lambda _name, _address, _tags: "")
        self.phase = Phase.HERE
        self.incarnation = 1
        self.caught_up = False  # the pool has said what it remembers of this name
        self.effects: list[Effect] = []
        self.timers = Timers()
        self.awareness = Awareness(settings.awareness_max)
        self.table = Table(rng, settings.forgotten_max)
        # In the order in which they fill packets.
        self.news = BroadcastQueue(settings.queue_max)
        self.intent_news = BroadcastQueue(settings.queue_max)
        self.query_news = BroadcastQueue(settings.queue_max)
        self.event_news = BroadcastQueue(settings.queue_max)
        self.queues = (self.news, self.intent_news, self.query_news, self.event_news)
        self._gossip_timer: Timer | None = None
        self._gossip_phase = now + rng.random() * settings.gossip_interval_s
        # Random, so that a sender that does not see our pings cannot forge their acks.
        self._sequence = rng.getrandbits(31)

        self.clock = LamportClock(now)
        self.event_clock = LamportClock(now)
        self.query_clock = LamportClock(now)
        for clock, seen in zip(
            (self.clock, self.event_clock, self.query_clock), clocks, strict=True
        ):
            clock.witness(seen)
        self.roster = Roster(settings.intents_max)
        self.user_events = Ring(settings.event_ring)
        self.query_ring = Ring(settings.event_ring)
        self.filter_steps = Allowance(settings.filter_steps, settings.filter_steps_per_s, now)
        self.new_names = Allowance(settings.new_names, settings.new_names_per_s, now)
        self.vivaldi = Vivaldi(rng)
        self.encoded_coordinate: tuple[Coordinate, bytes] | None = None

        self.awaiting: dict[int, Awaiting] = {}  # by the sequence number of a ping
        self.streams = Streams()
        self.open_queries = OpenQueries(settings.queries_max)
        self.asked = AskedQueries()
        self.rival: Awaiting | None = None
        self.leave: Departure | None = None
        self.joins_ignoring_old = 0
        self._begin()

    def _begin(self) -> None:
        """Set the first timers of the rules, which stand above this module: `node.Node` does."""
        raise NotImplementedError

    # -- what follows from it -------------------------------------------------------------------

    def clocks(self) -> tuple[int, int, int]:
        """The newest times seen of members, events and queries: what to keep on disk."""
        return (self.clock.time - 1, self.event_clock.time - 1, self.query_clock.time - 1)

    def knows_alive_others(self) -> bool:
        """True unless this member is alone."""
        return any(not r.is_gone() and r.name != self.name for r in self.table.records.values())

    def is_alive_other(self, record: Record) -> bool:
        """Members to ask for help, or to exchange states with."""
        return record.state is NodeState.ALIVE and record.name != self.name

    def next_sequence(self) -> int:
        """A number for a ping."""
        self._sequence = (self._sequence + 1) & 0xFFFF_FFFF
        return self._sequence

    def await_ack(self, sequence: int, waiting: Awaiting, seconds: float) -> None:
        """Hand the ack of this ping to `waiting`, if it comes in time."""
        self.awaiting[sequence] = waiting
        self.later(seconds, partial(self._give_up, sequence))

    def _give_up(self, sequence: int) -> None:
        self.awaiting.pop(sequence, None)

    # -- what to do -----------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """To be done."""
        self.effects.append(effect)

    def refuse(self, reason: Refusal, source: Address | None, detail: str = "") -> None:
        """Refuse a message."""
        self.effects.append(Refused(reason, source, detail))

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run `action` after so many seconds."""
        return self.timers.at(self.now + seconds, action)

    # -- packets --------------------------------------------------------------------------------

    def send(self, to: Address, *messages: Message, crc: bool = False) -> None:
        """Send these at once, with as much news as fits beside them."""
        encode = self.codec.encode
        self._send_parts(to, [encode(message) for message in messages], crc)

    def send_serf(self, to: Address, message: SerfMessage) -> None:
        """Send one of Serf's straight to a member."""
        self.send(to, User(self.codec.encode_serf(message)))

    def _send_parts(self, to: Address, parts: list[bytes], crc: bool) -> None:
        self._fill(parts)
        self.effects.append(SendPacket(to, tuple(parts), crc))

    def _fill(self, parts: list[bytes]) -> None:
        room = self.settings.packet_bytes_max - self.settings.packet_overhead - _PACKET_HEAD
        for part in parts:
            room -= len(part) + _PER_PART
        limit = 0
        for queue in self.queues:
            if len(queue) and room >= _ROOM_MIN:
                limit = limit or retransmit_limit(self.settings.retransmit_mult, len(self.table))
                room = queue.fill(parts, room, _PER_PART, PARTS_MAX, limit)

    # -- news -----------------------------------------------------------------------------------

    def spread(
        self, message: Message, about: str, on_gone: Callable[[], None] | None = None
    ) -> None:
        """Gossip one of memberlist's: only the newest about a name matters."""
        self.news.add(about, self.codec.encode(message), on_gone)
        self.wake_gossip()

    def spread_serf(
        self,
        queue: BroadcastQueue,
        message: SerfMessage,
        about: str = "",
        on_gone: Callable[[], None] | None = None,
    ) -> None:
        """Gossip one of Serf's; `about` is empty if nothing newer replaces it."""
        data = self.codec.encode(User(self.codec.encode_serf(message)))
        queue.add(about, data, on_gone)
        self.wake_gossip()

    def wake_gossip(self) -> None:
        """There is news: send it at the next of this member's gossip times."""
        if self._gossip_timer is None and self.phase is not Phase.LEFT:
            interval = self.settings.gossip_interval_s
            wait = interval - (self.now - self._gossip_phase) % interval
            self._gossip_timer = self.later(wait, self._gossip)

    def _gossip(self) -> None:
        self._gossip_timer = None
        targets = self.table.sample(self.settings.gossip_nodes, self._hears_gossip)
        for record in targets:
            parts: list[bytes] = []
            self._fill(parts)
            if not parts:
                return
            self.effects.append(SendPacket(record.address, tuple(parts), record.speaks(5)))
        # With nobody to tell, the next member that joins wakes us.
        if targets and any(map(len, self.queues)):
            self.wake_gossip()

    def _hears_gossip(self, record: Record) -> bool:
        if record.name == self.name or record.state is NodeState.LEFT:
            return False
        if record.state is NodeState.DEAD:
            return self.now - record.changed_at <= self.settings.gossip_to_the_dead_s
        return True

    # -- bytes inside messages ------------------------------------------------------------------

    def read_tags(self, meta: bytes | None, source: Address | None) -> dict[str, str] | None:
        """The tags in a member's meta; None, and refused, if they are none."""
        try:
            return self.codec.decode_tags(meta)
        except BadFrame as error:
            self.refuse(Refusal.BAD_BYTES, source, error.text)
            return None

    def read_serf(self, data: bytes, source: Address | None) -> Any:
        """One of Serf's messages; None, and refused, if it is none."""
        try:
            return self.codec.decode_serf(data)
        except BadFrame as error:
            self.refuse(Refusal.BAD_BYTES, source, error.text)
            return None
