"""What the endpoints are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from quorate.api.consistency import Authority, Replicating
from quorate.api.http.messages import Call, Response
from quorate.api.service import Service
from quorate.metrics import Metrics

Handler = Callable[[Call], Response | Replicating | Awaitable[Response]]
"""Answers one method of one path, at once or later. Raises RequestError and QuorateError."""


class Context(msgspec.Struct, frozen=True):
    """One server's parts, as far as endpoints need them. `clock` gives Unix seconds."""

    service: Service
    authority: Authority
    metrics: Metrics
    clock: Callable[[], float]
