"""User events: each is told once to every member, in no certain order.

See docs/wire.md#events-and-queries.

What was seen is remembered for as many Lamport times as the ring has; what is older than that is
dropped, for nobody could tell whether it was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quorate.gossip.effects import EventArrived, Refusal
from quorate.gossip.messages import Address, EventsAt, UserEvent

if TYPE_CHECKING:
    from quorate.gossip.state import State

BYTES_MAX: Final = 9 * 1024
"""Most bytes of an event's name and payload: what Serf can be set to at most."""

TOLD_BYTES_MAX: Final = 128 * 1024
"""Most bytes of events in a push-pull; the newest count."""

_OVERHEAD: Final = 32  # what an event takes in a push-pull, without its name and payload


def remembered(node: State) -> tuple[EventsAt, ...]:
    """The events for a push-pull: only the times that have any, and only the newest."""
    told: list[EventsAt] = []
    left = TOLD_BYTES_MAX
    for ltime, events in reversed(node.user_events.remembered()):
        left -= sum(_OVERHEAD + _size(name, payload) for name, payload in events)
        if left < 0:
            break
        told.append(EventsAt(ltime, tuple(events)))
    return tuple(reversed(told))


def _size(name: str, payload: bytes | None) -> int:
    return len(name.encode()) + len(payload or b"")


def send(node: State, name: str, payload: bytes | None, coalesce: bool) -> None:
    """Tell all members, this one as well. Raises ValueError if it is too large."""
    size = _size(name, payload)
    if size > node.settings.user_event_bytes_max:
        raise ValueError(
            f"the event has {size} bytes; the limit is {node.settings.user_event_bytes_max}"
        )
    event = UserEvent(node.event_clock.time, name, payload, coalesce)
    node.event_clock.increment()
    accept(node, event.ltime, name, payload, coalesce=coalesce)
    node.spread_serf(node.event_news, event)


def on_event(node: State, event: UserEvent, source: Address | None) -> None:
    """An event by gossip: tell it here, and pass it on, if it is new."""
    if not node.event_clock.accepts(event.ltime, node.now):
        node.refuse(Refusal.UNEXPECTED, source, f"event time {event.ltime}")
    elif accept(node, event.ltime, event.name, event.payload, coalesce=event.coalesce):
        node.spread_serf(node.event_news, event)


def accept(
    node: State, ltime: int, name: str, payload: bytes | None, *, coalesce: bool = False
) -> bool:
    """Take an event in; True if it is new here."""
    if not node.event_clock.accepts(ltime, node.now) or _size(name, payload) > BYTES_MAX:
        return False
    node.event_clock.witness(ltime)
    if not node.user_events.is_new(node.event_clock.time, ltime, (name, payload)):
        return False
    node.emit(EventArrived(name, payload, ltime, coalesce))
    return True
