"""`/v1/agent/monitor`: the log of a server while it goes on (docs/http-api.md#the-log)."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Final

from quorate.api.codec.encode import JSON_TYPE
from quorate.api.codec.go_text import parse_bool, quote
from quorate.api.endpoint import Context
from quorate.api.endpoints.frames import PassedOn, asking_for_frames, framed
from quorate.api.endpoints.targets import Targets
from quorate.api.http.messages import Call, Header, Response, StreamResponse
from quorate.api.request_error import RequestError
from quorate.loglines.formats import LEVELS, JsonFormatter, TextFormatter
from quorate.loglines.taps import TAPS, Tap

MONITORS_MAX: Final = 16
"""Clients that watch this log at one time: each costs memory, and time for each line. Of those that
watch another server's through this one there may be as many."""

HEARTBEAT_S: Final = 1.0
"""After so long without a line an empty frame is sent, so that a client that is gone is noticed."""

_ECHO_MAX: Final = 64
_PLAIN_TYPE: Final = (b"Content-Type", b"text/plain")


class MonitorEndpoint:
    """GET."""

    def __init__(self, context: Context) -> None:
        self._authority = context.authority
        self._region = context.parts.options.region
        self._targets = Targets(context.parts)

    async def get(self, call: Call) -> Response:
        """Lines from now on, until the client goes away."""
        if call.request.stream is not None:
            async for _ in call.request.stream:
                pass  # a body is not looked at, and bounded
        level = _level(call.query.first("log_level"))
        as_json = _option(call, "log_json", "log json")
        plain = _option(call, "plain", "plain")
        self._targets.check(call, "Cannot target node and server simultaneously")

        asked = asking_for_frames(call)

        async def perform() -> Response:
            target = self._targets.find(call)
            if target is not None:
                ask = partial(self._authority.ask_server, asked, *target, streams=True)
                return await _passed_on(ask, plain=plain)
            if len(TAPS) >= MONITORS_MAX:
                raise _too_many("the log of this server")
            formatter = JsonFormatter() if as_json else TextFormatter()
            return StreamResponse(200, _lines(level, formatter, plain=plain), (_kind(plain),))

        ask = partial(self._authority.any_server, asked, perform)
        if call.query.region in {"", self._region}:
            return await ask()
        return await _passed_on(ask, plain=plain)


async def _passed_on(ask: Callable[[], Awaitable[Response]], *, plain: bool) -> Response:
    """The log of another server, as `ask` gets it in frames."""
    if PassedOn.count() >= MONITORS_MAX:
        raise _too_many("logs of other servers through this one")
    watched = PassedOn(plain=plain)
    try:
        response = await ask()
    except BaseException:
        await watched.aclose()
        raise
    if not isinstance(response, StreamResponse):
        await watched.aclose()
        return response
    watched.pieces = response.pieces
    return StreamResponse(response.status, watched, (_kind(plain),))


def _too_many(what: str) -> RequestError:
    return RequestError(f"{MONITORS_MAX} clients watch {what} already; end one of them", 503)


def _kind(plain: bool) -> Header:
    return _PLAIN_TYPE if plain else JSON_TYPE


def _level(name: str) -> int:
    level = LEVELS.get((name or "INFO").upper())
    if level is None:
        raise RequestError(f"Unknown log level: {name[:_ECHO_MAX]}")
    return level


def _option(call: Call, name: str, shown: str) -> bool:
    text = call.query.first(name)
    if not text:
        return False
    value = parse_bool(text)
    if value is None:
        echoed = quote(text[:_ECHO_MAX])
        raise RequestError(
            f"Unknown option for {shown}: strconv.ParseBool: parsing {echoed}: invalid syntax"
        )
    return value


async def _lines(
    level: int, formatter: logging.Formatter, *, plain: bool
) -> AsyncGenerator[bytes, None]:
    tap = Tap(level, formatter)
    TAPS.open(tap)
    try:
        while True:
            lines = (await tap.read(HEARTBEAT_S)).encode(errors="backslashreplace")
            yield lines if plain else framed(lines)
    finally:
        TAPS.close(tap)
