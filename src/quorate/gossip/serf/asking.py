"""This member's own questions, and who has acknowledged and answered them.

See docs/wire.md#events-and-queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from quorate.gossip.effects import QueryAcked, QueryAnswered, QueryDone
from quorate.gossip.events import SendQuery
from quorate.gossip.messages import Query, QueryFlag, QueryResponse
from quorate.gossip.pending import Asked
from quorate.gossip.serf import queries

if TYPE_CHECKING:
    from quorate.gossip.state import State

_TIMEOUT_NS_MAX: Final = (1 << 63) - 1


def default_timeout_s(interval: float, mult: int, members: int) -> float:
    """Long enough for gossip to reach all of so many, and the answers to come back."""
    return interval * mult * math.ceil(math.log10(members + 1))


def on_send_query(node: State, event: SendQuery) -> None:
    """The runtime asks all members."""

    def answered(response: QueryResponse) -> None:
        if response.flags & QueryFlag.ACK:
            node.emit(QueryAcked(event.handle, response.sender))
        else:
            node.emit(QueryAnswered(event.handle, response.sender, response.payload))

    def done(asked: Asked) -> None:
        node.emit(QueryDone(event.handle, tuple(asked.acked), tuple(asked.answered)))

    ask(node, event, Asked(answered, done))


def ask(node: State, event: SendQuery, asked: Asked) -> None:
    """Send a query to all, this member as well. Raises ValueError if it is too large."""
    settings = node.settings
    timeout = event.timeout_s
    if timeout is None:
        timeout = default_timeout_s(
            settings.gossip_interval_s, settings.query_timeout_mult, len(node.table)
        )
    query = Query(
        ltime=node.query_clock.time,
        id=node.rng.getrandbits(32),
        address=node.address,
        source_node=node.name,
        name=event.name,
        payload=event.payload,
        filters=tuple(map(node.codec.encode_filter, event.filters)) or None,
        flags=int(QueryFlag.ACK) if event.wants_acks else 0,
        relay_factor=event.relay_factor,
        timeout_ns=min(int(timeout * 1e9), _TIMEOUT_NS_MAX),
    )
    _check(node, query)
    node.query_clock.increment()
    node.asked.add(query, asked)
    node.later(timeout, partial(node.asked.close, query))
    queries.accept(node, query, None)
    node.spread_serf(node.query_news, query)


def _check(node: State, query: Query) -> None:
    size = len(node.codec.encode_serf(query))
    limit = node.settings.query_bytes_max
    if size > limit:
        raise ValueError(f"the query has {size} bytes; the limit is {limit}")
    if not 0 <= query.relay_factor <= 255:
        raise ValueError("relay_factor must be between 0 and 255")
    if len(node.asked) >= node.settings.queries_max:
        raise ValueError(f"{len(node.asked)} queries are open already")


def answers_of(collected: list[Any]) -> Callable[[QueryResponse], None]:
    """Collect what is answered, without acknowledgements."""

    def answered(response: QueryResponse) -> None:
        if not response.flags & QueryFlag.ACK:
            collected.append(response)

    return answered
