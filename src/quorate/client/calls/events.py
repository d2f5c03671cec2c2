"""The stream of events, read line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from quorate.client.calls.call import Answer, Query, refusal
from quorate.client.calls.models import Event, from_json
from quorate.client.errors import AnswerError

STREAM: Final = "/v1/event/stream"

SILENCE_S: Final = 60.0
"""A server sends a heartbeat every 10 s: one that is silent for so long is gone."""

LINE_MAX: Final = 16 << 20
"""Characters of one line."""


def events_query(topics: Iterable[str], index: int, namespace: str) -> Query:
    """The parameters of a stream."""
    query = [("topic", topic) for topic in topics] + ([("index", str(index))] if index else [])
    return query + ([("namespace", namespace)] if namespace else [])


class EventReader:
    """Makes events of the pieces of a stream; heartbeats are left out."""

    def __init__(self) -> None:
        self._rest: list[str] = []
        self._size = 0

    def read(self, piece: str | Answer) -> list[Event]:
        """The events that a piece ends. Raises AnswerError, and the error of a refusal."""
        return [event for line in self._lines(text_of(piece)) for event in _events(line)]

    def _lines(self, piece: str) -> list[str]:
        """Whole lines; what the server did not end is none."""
        *whole, last = piece.split("\n")
        if whole:
            whole[0] = "".join((*self._rest, whole[0]))
            self._rest, self._size = [], 0
        self._rest.append(last)
        self._size += len(last)
        if self._size > LINE_MAX:
            raise AnswerError(STREAM, f"a line of more than {LINE_MAX} characters")
        return [line for line in whole if line]


def text_of(piece: str | Answer) -> str:
    """The text of a stream's piece. Raises StatusError if it is the answer of a refusal."""
    if isinstance(piece, Answer):
        raise refusal(piece)
    return piece


def _events(line: str) -> list[Event]:
    try:
        found = msgspec.json.decode(line, type=dict[str, Any])
        return [from_json(each, Event) for each in found.get("Events") or ()]
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise AnswerError(STREAM, f"a line that is no event: {error}") from error
