"""Dispatch of the messages in packets: from the type to the rule that takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quorate.gossip.effects import Refusal
from quorate.gossip.events import PacketReceived
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    JoinIntent,
    LeaveIntent,
    Nack,
    Ping,
    Query,
    QueryResponse,
    Relay,
    Suspect,
    User,
    UserEvent,
)
from quorate.gossip.serf import intents, queries, user_events
from quorate.gossip.swim import merge, probe

if TYPE_CHECKING:
    from quorate.gossip.state import State


def on_packet(node: State, event: PacketReceived) -> None:
    """Each message by itself: a bad one does not spoil the others."""
    source = event.source
    for message in event.messages:
        handler = _MESSAGES.get(type(message))
        if handler is None:
            node.refuse(Refusal.UNEXPECTED, source, type(message).__name__)
        else:
            handler(node, message, source)


def on_user(node: State, message: User, source: Address) -> None:
    """One of Serf's messages, by packet or by stream."""
    serf = node.read_serf(message.payload, source)
    if serf is None:
        return
    handler = _SERF_MESSAGES.get(type(serf))
    if handler is None:
        node.refuse(Refusal.UNEXPECTED, source, type(serf).__name__)
    else:
        handler(node, serf, source)


def _on_join(node: State, intent: JoinIntent, source: Address) -> None:
    if _is_possible_intent(node, intent.ltime, source):
        intents.on_join(node, intent)


def _on_leave(node: State, intent: LeaveIntent, source: Address) -> None:
    if _is_possible_intent(node, intent.ltime, source):
        intents.on_leave(node, intent)


def _is_possible_intent(node: State, ltime: int, source: Address) -> bool:
    if node.clock.accepts(ltime, node.now):
        return True
    node.refuse(Refusal.UNEXPECTED, source, f"intent time {ltime}")
    return False


def _on_response(node: State, response: QueryResponse, _source: Address) -> None:
    node.asked.on_response(response)


def _on_relay(node: State, relay: Relay, _source: Address) -> None:
    node.send(relay.destination, User(relay.inner))


_MESSAGES: dict[type, Callable[[State, Any, Address], None]] = {
    Ping: probe.on_ping,
    IndirectPing: probe.on_indirect_ping,
    Ack: probe.on_ack,
    Nack: probe.on_nack,
    Alive: merge.on_alive,
    Suspect: merge.on_suspect,
    Dead: merge.on_dead,
    User: on_user,
}
_SERF_MESSAGES: dict[type, Callable[[State, Any, Address], None]] = {
    JoinIntent: _on_join,
    LeaveIntent: _on_leave,
    UserEvent: user_events.on_event,
    Query: queries.on_query,
    QueryResponse: _on_response,
    Relay: _on_relay,
}
