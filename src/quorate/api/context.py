"""What the endpoints are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from quorate.api.consistency import Authority, Replicating
from quorate.api.http.messages import Call, Response
from quorate.api.parts import Parts
from quorate.metrics import Metrics

Handler = Callable[[Call], Response | Replicating | Awaitable[Response]]
"""Answers one method of one path, at once or later. Raises RequestError and QuorateError."""


class Context(msgspec.Struct, frozen=True):
    """What an endpoint is made with: it keeps what it needs. `clock` gives Unix seconds."""

    parts: Parts
    authority: Authority
    metrics: Metrics
    clock: Callable[[], float]
