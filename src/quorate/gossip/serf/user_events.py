"""User events: each is told once to every member, in no certain order (gossip-wire, B5).

What was seen is remembered for as many Lamport times as the ring has; what is older than that is
dropped, for nobody could tell whether it was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from quorate.gossip.effects import EventArrived, Refusal
from quorate.gossip.messages import Address, EventsAt, UserEvent
from quorate.gossip.serf.clock import is_possible

if TYPE_CHECKING:
    from quorate.gossip.state import State

_PER_TIME_MAX: Final = 256
"""Events of one Lamport time: honest ones are as many as members that send at the same moment."""


class Ring:
    """What was seen at each of the last Lamport times; `first` is the oldest that is heeded."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._slots: dict[int, tuple[int, dict[Any, None]]] = {}
        self.first = 0

    def ignore_before(self, ltime: int) -> None:
        """Do not heed what is older."""
        self.first = max(self.first, ltime)

    def is_new(self, clock: int, ltime: int, what: Any) -> bool:
        """True once for `what` (hashable) at `ltime`, when our clock is at `clock`."""
        if ltime < self.first or ltime + self._size < clock:
            return False
        place = ltime % self._size
        slot = self._slots.get(place)
        if slot is not None and slot[0] > ltime:
            return False
        if slot is None or slot[0] < ltime:
            slot = self._slots[place] = (ltime, {})
        if what in slot[1] or len(slot[1]) >= _PER_TIME_MAX:
            return False
        slot[1][what] = None
        return True

    def remembered(self) -> list[tuple[int, list[Any]]]:
        """What is in the ring, by Lamport time."""
        return [(ltime, list(seen)) for ltime, seen in sorted(self._slots.values())]


def remembered(node: State) -> tuple[EventsAt, ...]:
    """The events for a push-pull: only the times that have any."""
    return tuple(EventsAt(ltime, tuple(events)) for ltime, events in node.user_events.remembered())


def send(node: State, name: str, payload: bytes | None, coalesce: bool) -> None:
    """Tell all members, this one as well. Raises ValueError if it is too large."""
    size = len(name.encode()) + len(payload or b"")
    if size > node.settings.user_event_bytes_max:
        raise ValueError(
            f"the event has {size} bytes; the limit is {node.settings.user_event_bytes_max}"
        )
    event = UserEvent(node.event_clock.time, name, payload, coalesce)
    node.event_clock.increment()
    heed(node, event.ltime, name, payload, coalesce=coalesce)
    node.spread_serf(node.event_news, event)


def on_event(node: State, event: UserEvent, source: Address | None) -> None:
    """An event by gossip: tell it here, and pass it on, if it is new."""
    if not is_possible(event.ltime):
        node.refuse(Refusal.UNEXPECTED, source, f"event time {event.ltime}")
    elif heed(node, event.ltime, event.name, event.payload, coalesce=event.coalesce):
        node.spread_serf(node.event_news, event)


def heed(
    node: State, ltime: int, name: str, payload: bytes | None, *, coalesce: bool = False
) -> bool:
    """Take an event in; True if it is new here."""
    if not is_possible(ltime):
        return False
    node.event_clock.witness(ltime)
    if not node.user_events.is_new(node.event_clock.time, ltime, (name, payload)):
        return False
    node.emit(EventArrived(name, payload, ltime, coalesce))
    return True
