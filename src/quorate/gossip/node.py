"""One member of a pool: `step` takes an event and the time, and returns effects.

Invariants (SWIM, Lifeguard, and Serf's rules; docs/wire.md#gossip):
- only a member itself raises its incarnation, and nobody's incarnation ever falls;
- nothing that comes in makes it raise: bad bytes, lying members and flooders cost a `Refused`;
- everything that it remembers has a limit that does not depend on what others send;
- the work of a packet or of a tick does not grow with the pool, except for full exchanges of
  states and once in a round of probes.

The clock is the argument `now` (seconds, monotonic), randomness the given generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from quorate.gossip import inbox
from quorate.gossip.effects import Effect, JoinDone, Member, StreamReply
from quorate.gossip.events import (
    AnswerKeyQuery,
    AnswerQuery,
    Event,
    ForceLeaveRequested,
    JoinRequested,
    LeaveRequested,
    PacketReceived,
    SendQuery,
    SendUserEvent,
    SetTags,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
    Tick,
)
from quorate.gossip.messages import NodeState
from quorate.gossip.serf import asking, intents, leaving, queries, upkeep, user_events
from quorate.gossip.serf.phase import Phase
from quorate.gossip.state import State
from quorate.gossip.swim import merge
from quorate.gossip.swim import push_pull as exchange
from quorate.gossip.swim.probe import Prober
from quorate.gossip.swim.table import Record

_HAS_LEFT: Final = "this member has left the pool"


class Node(State):
    """See the module. The first step, at once, should be a `Tick`: it reports this member."""

    prober: Prober

    def _begin(self) -> None:
        self.timers.at(self.now, self._appear)
        self.prober = Prober(self)
        exchange.start(self)
        upkeep.start(self)

    def _appear(self) -> None:
        """This member is the first that it knows."""
        record = Record(self.name, self.address, self.now)
        record.incarnation = self.incarnation
        record.meta = self.meta
        record.versions = self.versions
        record.set_state(NodeState.ALIVE, self.now)
        self.table.add(record)
        intents.member_joined(self, record, self.tags)
        self.spread(merge.own_alive(self), self.name)

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event at time `now` and return what is to be done, in order.

        Raises ValueError for a request of this member's own user that cannot be served, as said
        at the events; nothing has changed then. Nothing that comes from others raises.
        """
        self.now = max(now, self.now)
        if self.phase is Phase.LEFT:
            self._afterwards(event)
        else:
            self._handlers[type(event)](self, event)
        effects, self.effects = self.effects, []
        return effects

    def deadline(self) -> float:
        """When `Tick` is due at the latest; infinite when this member has left."""
        return self.timers.deadline()

    def members(self) -> list[Member]:
        """All that are known, those that failed or left and are not reaped among them."""
        return [known.seen() for known in self.roster.members.values()]

    def confirmed_hosts(self) -> set[str]:
        """Where the members are that have answered a ping of this one, whatever is said of them."""
        return {known.address.host for known in self.roster.members.values() if known.confirmed}

    # -- events ---------------------------------------------------------------------------------

    def _on_tick(self, _: Event) -> None:
        late = self.now - self.timers.deadline()
        if late > self.settings.probe_timeout_s:
            self._was_asleep(late)
        self.timers.run(self.now)

    def _was_asleep(self, late: float) -> None:
        """This member stood still: what it did not hear meanwhile is nobody else's fault."""
        self.awareness.add(1)
        self.timers.shift(late)
        for record in self.table.records.values():
            if record.suspicion is not None:
                record.suspicion.since += late

    def _afterwards(self, event: Event) -> None:
        """This member has left: it says nothing any more, but nobody waits for it in vain."""
        match event:
            case LeaveRequested():
                leaving.on_leave_requested(self, event)
            case StreamReceived():
                self.emit(StreamReply(event.handle, None))
            case JoinRequested():
                failures = tuple((address, _HAS_LEFT) for address, _ in event.targets)
                self.emit(JoinDone(event.handle, (), failures))
            case StreamAnswered() | StreamFailed():
                self.streams.over(event.handle, None, _HAS_LEFT)
            case SendQuery() | SendUserEvent() | ForceLeaveRequested():
                raise ValueError(_HAS_LEFT)
            case _:
                pass

    def _on_force_leave(self, event: ForceLeaveRequested) -> None:
        intents.force_leave(self, event.name, event.prune)

    def _on_set_tags(self, event: SetTags) -> None:
        meta = self.codec.encode_tags(event.tags)
        if self.phase is not Phase.HERE:
            return
        self.meta = meta
        self.tags = dict(event.tags)
        self.incarnation += 1
        merge.announce_self(self)
        intents.member_updated(self, self.table.records[self.name], self.tags)

    def _on_send_event(self, event: SendUserEvent) -> None:
        user_events.send(self, event.name, event.payload, event.coalesce)

    _handlers: ClassVar[dict[type, Callable[[Node, Any], None]]] = {
        Tick: _on_tick,
        PacketReceived: inbox.on_packet,
        StreamReceived: exchange.on_stream,
        StreamAnswered: exchange.on_stream_answered,
        StreamFailed: exchange.on_stream_failed,
        JoinRequested: exchange.on_join_requested,
        LeaveRequested: leaving.on_leave_requested,
        ForceLeaveRequested: _on_force_leave,
        SetTags: _on_set_tags,
        SendUserEvent: _on_send_event,
        SendQuery: asking.on_send_query,
        AnswerQuery: queries.on_answer,
        AnswerKeyQuery: queries.on_key_answer,
    }
