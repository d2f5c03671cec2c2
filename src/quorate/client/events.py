"""The stream of events, read line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from quorate.client.errors import AnswerError
from quorate.client.models import Event, from_json

STREAM: Final = "/v1/event/stream"

SILENCE_S: Final = 60.0
"""A server sends a heartbeat every 10 s: one that is silent for so long is gone."""

LINE_MAX: Final = 16 << 20
"""Characters of one line."""


def events_of(pieces: Iterable[str]) -> Iterator[Event]:
    """The events in the text of a stream; heartbeats are left out. Raises AnswerError."""
    for line in _lines(pieces):
        try:
            found = msgspec.json.decode(line, type=dict[str, Any])
            events = [from_json(each, Event) for each in found.get("Events") or ()]
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise AnswerError(STREAM, f"a line that is no event: {error}") from error
        yield from events


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Whole lines; what the server did not end is none."""
    rest: list[str] = []
    size = 0
    for piece in pieces:
        *whole, last = piece.split("\n")
        if whole:
            whole[0] = "".join((*rest, whole[0]))
            rest, size = [], 0
            yield from filter(None, whole)
        rest.append(last)
        size += len(last)
        if size > LINE_MAX:
            raise AnswerError(STREAM, f"a line of more than {LINE_MAX} characters")
