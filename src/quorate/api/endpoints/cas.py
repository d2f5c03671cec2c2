"""The parameter `cas` of writes: only if the record's modify index is just that."""

from __future__ import annotations

from quorate.api.codec.go_text import parse_uint64
from quorate.api.codec.params import Query
from quorate.api.request_error import RequestError


def parse_cas(query: Query) -> int | None:
    """The index, or None if the parameter is absent; an empty one is an error."""
    if "cas" not in query.values:
        return None
    try:
        return parse_uint64(query.first("cas"))
    except ValueError as error:
        raise RequestError(f"Error parsing cas value: {error}") from error
