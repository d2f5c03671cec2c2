"""Other members' questions: pass on, acknowledge, answer (docs/wire.md#events-and-queries).

Acknowledgements and answers go straight to who asked, and if wanted through a few others as well.
A query that filters leave this member out of is passed on all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from quorate.errors import BadFrame
from quorate.gossip.effects import KeyAction, KeyChangeAsked, QueryArrived, Refusal
from quorate.gossip.events import AnswerKeyQuery, AnswerQuery
from quorate.gossip.messages import (
    Address,
    ConflictMember,
    ConflictResponse,
    KeyRequest,
    KeyResponse,
    NodeFilter,
    Query,
    QueryFlag,
    QueryResponse,
    Relay,
    Versions,
)
from quorate.gossip.serf.expressions import STEPS_MAX, BadExpression, Budget, Expression

if TYPE_CHECKING:
    from quorate.gossip.state import State
    from quorate.gossip.swim.table import Record

INTERNAL: Final = "_serf_"
PING: Final = "_serf_ping"
CONFLICT: Final = "_serf_conflict"
_KEY_ACTIONS: Final = {action.value: action for action in KeyAction}
_RELAY_PROTOCOL: Final = 5
_RELAY_MAX: Final = 16
_TIMEOUT_MAX_S: Final = 3600.0
FILTERS_MAX: Final = 8
"""Serf's own tools send one for the names and one for each tag that is named."""
_CUT: Final = "Truncated key list response, showing first {} of {} keys"


def on_query(node: State, query: Query, source: Address | None) -> None:
    """A query by gossip."""
    if not node.query_clock.accepts(query.ltime, node.now):
        node.refuse(Refusal.UNEXPECTED, source, f"query time {query.ltime}")
    elif too_large := _too_large(node, query):
        node.refuse(Refusal.TOO_LARGE, source, too_large)
    elif accept(node, query, source) and not query.flags & QueryFlag.NO_BROADCAST:
        node.spread_serf(node.query_news, query)


def accept(node: State, query: Query, source: Address | None) -> bool:
    """Take a query in; True if it is new here."""
    node.query_clock.witness(query.ltime)
    if not node.query_ring.is_new(node.query_clock.time, query.ltime, query.id):
        return False
    if _is_for_us(node, query, source):
        if query.flags & QueryFlag.ACK:
            ack = QueryResponse(query.ltime, query.id, node.name, int(QueryFlag.ACK))
            reply(node, query, ack)
        _ask_here(node, query, source)
    return True


def _too_large(node: State, query: Query) -> str:
    """Which limit the query exceeds, so that it is not even passed on; empty if none."""
    filters = query.filters or ()
    if len(filters) > FILTERS_MAX:
        return f"a query with {len(filters)} filters; {FILTERS_MAX} are the limit"
    texts = len(query.name) + len(query.source_node) + len(query.payload or b"")
    size, limit = texts + sum(map(len, filters)), node.settings.query_bytes_max
    return f"a query of {size} bytes; {limit} are the limit" if size > limit else ""


def _is_for_us(node: State, query: Query, source: Address | None) -> bool:
    steps = Budget(min(STEPS_MAX, int(node.filter_steps.left(node.now))))
    before = steps.left
    try:
        return _passes(node, query, source, steps)
    finally:
        node.filter_steps.spend(before - steps.left)


def _passes(node: State, query: Query, source: Address | None, steps: Budget) -> bool:
    for data in query.filters or ():
        try:
            wanted = node.codec.decode_filter(data)
        except BadFrame as error:
            node.refuse(Refusal.BAD_BYTES, source, error.text)
            return False
        if isinstance(wanted, NodeFilter):
            if node.name not in wanted.names:
                return False
            continue
        try:
            tag = node.tags.get(wanted.tag, "")
            matches = Expression(wanted.expression, steps).search(tag)
        except BadExpression as error:
            node.refuse(Refusal.BAD_BYTES, source, str(error))
            return False
        if not matches:
            return False
    return True


def _ask_here(node: State, query: Query, source: Address | None) -> None:
    seconds = min(max(query.timeout_ns / 1e9, 0.0), _TIMEOUT_MAX_S)
    deadline = node.now + seconds
    action = _KEY_ACTIONS.get(query.name)
    if query.name == PING:
        return
    if query.name == CONFLICT:
        _answer_conflict(node, query, source)
    elif action is not None:
        _ask_for_keys(node, query, action, deadline, source)
    elif query.name.startswith(INTERNAL):
        node.refuse(Refusal.UNEXPECTED, source, query.name)
    else:
        handle = node.open_queries.add(query, deadline)
        node.emit(
            QueryArrived(
                handle, query.name, query.payload, query.source_node, query.address, deadline
            )
        )


def _described(node: State, name: str) -> ConflictResponse:
    """The member of that name as this one knows it."""
    known = node.roster.get(name)
    if known is None:
        return ConflictResponse(None)
    member = ConflictMember(
        known.name, known.address, known.tags, int(known.status), known.versions or Versions()
    )
    return ConflictResponse(member)


def _answer_conflict(node: State, query: Query, source: Address | None) -> None:
    try:
        name = (query.payload or b"").decode()
    except UnicodeDecodeError:
        node.refuse(Refusal.BAD_BYTES, source, "a name that is no text")
        return
    if name != node.name:
        response = _described(node, name)
        _respond(node, query, node.codec.encode_serf(response))


def _ask_for_keys(
    node: State, query: Query, action: KeyAction, deadline: float, source: Address | None
) -> None:
    key = b""
    if query.payload:
        request = node.read_serf(query.payload, source)
        if not isinstance(request, KeyRequest):
            node.refuse(Refusal.UNEXPECTED, source, query.name)
            return
        key = request.key
    handle = node.open_queries.add(query, deadline)
    node.emit(KeyChangeAsked(handle, action, key, query.source_node, deadline))


# -- answers -------------------------------------------------------------------------------------


def on_answer(node: State, event: AnswerQuery) -> None:
    """The runtime's answer to a query."""
    limit = node.settings.response_bytes_max
    if len(event.payload or b"") > limit:
        raise ValueError(f"the answer has {len(event.payload or b'')} bytes; the limit is {limit}")
    query = node.open_queries.take(event.handle, node.now)
    if query is not None:
        _respond(node, query, event.payload)


def on_key_answer(node: State, event: AnswerKeyQuery) -> None:
    """The runtime's answer to a query about keys, with as many keys as fit."""
    query = node.open_queries.take(event.handle, node.now)
    if query is not None:
        _respond(node, query, _fitting(node, event.response))


def _fitting(node: State, response: KeyResponse) -> bytes:
    limit = node.settings.response_bytes_max - _RESPONSE_HEAD
    data = node.codec.encode_serf(response)
    keys = response.keys or ()
    for count in range(len(keys) - 1, -1, -1):
        if len(data) <= limit:
            break
        message = _CUT.format(count, len(keys))
        cut = msgspec.structs.replace(response, keys=keys[:count], message=message)
        data = node.codec.encode_serf(cut)
    return data


_RESPONSE_HEAD: Final = 160
"""Room for the fields around an answer's payload, a long name among them."""


def _respond(node: State, query: Query, payload: bytes | None) -> None:
    reply(node, query, QueryResponse(query.ltime, query.id, node.name, 0, payload))


def reply(node: State, query: Query, response: QueryResponse) -> None:
    """Send an acknowledgement or an answer to who asked; our own we take ourselves."""
    if query.source_node == node.name and query.address == node.address:
        node.asked.on_response(response)
        return
    node.send_serf(query.address, response)
    copies = max(0, min(query.relay_factor, _RELAY_MAX))
    if not copies:
        return
    inner = node.codec.encode_serf(response)
    relay = Relay(query.address, query.source_node, inner)

    def can_relay(record: Record) -> bool:
        return node.is_alive_other(record) and record.speaks(_RELAY_PROTOCOL)

    for helper in node.table.sample(copies, can_relay):
        node.send_serf(helper.address, relay)
