"""`/v1/event/stream`: what changes, as it changes (docs/events.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

import msgspec

from quorate.acl.capability import Capability
from quorate.acl.rights import Rights
from quorate.api.codec.encode import JSON_TYPE
from quorate.api.codec.go_text import quote
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Header, Response, StreamResponse
from quorate.api.request_error import RequestError
from quorate.errors import QuorateError
from quorate.server.events import changes
from quorate.server.events.changes import OPERATOR, Event
from quorate.server.events.hub import ANY, Gap, Reader, Topics, Why, line
from quorate.shapes import events as shapes
from quorate.state.tables.namespaces import DEFAULT

READERS_MAX: Final = 4096
TOPICS_MAX: Final = 64
"""Of one reader."""

HEARTBEAT_S: Final = 10.0
"""After so long without an event `{}` is sent, so that both sides notice one that is gone."""

_HEARTBEAT: Final = b"{}\n"
_HEADERS: Final[tuple[Header, ...]] = (JSON_TYPE, (b"Cache-Control", b"no-cache"))
_ECHO_MAX: Final = 64
_encode: Final = msgspec.json.Encoder().encode

_NEEDED: Final = {
    changes.NAMESPACE: Capability.NAMESPACE_ANY,
    changes.VARIABLE: Capability.VARIABLES_LIST,
    OPERATOR: Capability.OPERATOR_READ,
}
"""What a caller needs for a topic."""


class EventsEndpoint:
    """GET."""

    def __init__(self, context: Context) -> None:
        self._state = context.parts.state
        self._events = context.parts.events
        self._authority = context.authority

    async def get(self, call: Call) -> Response:
        """Events from `index` on, or all that this server remembers; then those to come."""
        if call.request.stream is not None:
            async for _ in call.request.stream:
                pass  # a body is not looked at, and bounded

        call.need(lambda rights: _may_follow(_topics(call), rights))

        async def perform() -> Response:
            topics = _topics(call)
            self._state.readable()  # raises while the state is damaged
            if len(self._events) >= READERS_MAX:
                raise RequestError(f"{READERS_MAX} clients read the events of this server", 503)
            return StreamResponse(200, self._lines(topics, call.query.index), _HEADERS)

        return await self._authority.any_server(call, perform)

    async def _lines(self, topics: Topics, index: int) -> AsyncGenerator[bytes, None]:
        hub = self._events
        reader = hub.open(topics, index)
        try:
            yield _HEARTBEAT  # the head of the answer goes out with it
            while True:
                gap, lines = reader.take()
                if gap is not None:
                    yield _missed(gap)
                    if gap.why is Why.SLOW:
                        return
                if lines:
                    yield lines
                elif not await reader.wait(HEARTBEAT_S):
                    yield _HEARTBEAT
                if (end := self._end(reader)) is not None:
                    yield end
                    return
        finally:
            hub.close(reader)

    def _end(self, reader: Reader) -> bytes | None:
        """The last line, if this server cannot answer for its state any more."""
        try:
            self._state.readable()
        except QuorateError as error:
            return _told("StreamEnded", reader.position + 1, 0, error.text)
        return None


def _missed(gap: Gap) -> bytes:
    """A line for what may be missing; the stream of a slow reader ends with it."""
    again = f"; read again from index {gap.last + 1}" if gap.why is Why.SLOW else ""
    return _told("EventsMissed", gap.first, gap.last, gap.why.value + again)


def _told(kind: str, first: int, last: int, reason: str) -> bytes:
    """A line for every reader, whatever its topics. It is at no index of the log."""
    missed = shapes.Missed(first=first, last=last, reason=reason)
    event = shapes.Event(index=last, topic=OPERATOR, type=kind, payload={"Missed": missed})
    return line([_encode(event)], last)


def _topics(call: Call) -> Topics:
    """What is asked for; without `topic` everything. Raises RequestError."""
    given = call.query.values.get("topic", ()) or (ANY,)
    if len(given) > TOPICS_MAX:
        raise RequestError(f"more than {TOPICS_MAX} topics")
    namespace = call.query.first("namespace") or DEFAULT
    sees = None if call.admission is None else partial(_sees, call)
    return Topics(frozenset(map(_pair, given)), namespace, sees)


def _may_follow(topics: Topics, rights: Rights) -> bool:
    """Whether the caller may ask for these topics; all of them, and unknown ones, management's."""
    return all(
        rights.allows(_NEEDED.get(topic, Capability.MANAGEMENT)) for topic, _ in topics.pairs
    )


def _sees(call: Call, event: Event) -> bool:
    """Whether the caller may see this event, by its rights of this moment."""
    rights = call.caller.rights
    if rights.everything:
        return True
    match event.topic:
        case changes.NAMESPACE:
            return rights.sees_namespace(event.key)
        case changes.VARIABLE:
            return rights.allows_variable(Capability.VARIABLES_LIST, event.namespace, event.key)
    return rights.allows(_NEEDED.get(event.topic, Capability.MANAGEMENT))


def _pair(text: str) -> tuple[str, str]:
    """`Topic`, or `Topic:key`; `*` stands for all."""
    topic, colon, key = text.partition(":")
    if not topic or ":" in key or (colon and not key):
        raise RequestError(
            f"Invalid key value pair for topic, topic: {quote(text[:_ECHO_MAX])[1:-1]}"
        )
    return topic, key or ANY
