"""`/v1/agent/monitor`: the log of this server while it goes on (docs/http-api.md#the-log)."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from quorate.api.codec.encode import JSON_TYPE
from quorate.api.codec.go_text import parse_bool, quote
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response, StreamResponse
from quorate.api.request_error import RequestError
from quorate.loglines.formats import LEVELS, JsonFormatter, TextFormatter
from quorate.loglines.taps import TAPS, Tap

MONITORS_MAX: Final = 16
"""Clients that watch at one time: each costs memory, and time for each line."""

HEARTBEAT_S: Final = 1.0
"""After so long without a line an empty frame is sent, so that a client that is gone is noticed."""

_ECHO_MAX: Final = 64
_PLAIN_TYPE: Final = (b"Content-Type", b"text/plain")


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Lines on their way; one without any says that the stream is alive."""

    data: str = ""
    file_event: str = ""


class MonitorEndpoint:
    """GET."""

    def __init__(self, context: Context) -> None:
        self._options = context.parts.options
        self._leadership = context.parts.leadership
        self._pool = context.parts.pool

    async def get(self, call: Call) -> Response:
        """Lines from now on, until the client goes away."""
        if call.request.stream is not None:
            async for _ in call.request.stream:
                pass  # a body is not looked at, and bounded
        level = _level(call.query.first("log_level"))
        as_json = _option(call, "log_json", "log json")
        plain = _option(call, "plain", "plain")
        self._check_server(call)
        if len(TAPS) >= MONITORS_MAX:
            raise RequestError(
                f"{MONITORS_MAX} clients watch the log of this server already; end one of them", 503
            )
        formatter = JsonFormatter() if as_json else TextFormatter()
        header = _PLAIN_TYPE if plain else JSON_TYPE
        return StreamResponse(200, _lines(level, formatter, plain=plain), (header,))

    def _check_server(self, call: Call) -> None:
        """Raises RequestError unless this server is the one that is asked for."""
        wanted, node = call.query.first("server_id"), call.query.first("node_id")
        if wanted and node:
            raise RequestError("Cannot target node and server simultaneously")
        if node:
            raise RequestError("this server has no clients: give server_id", 501)
        if not wanted:
            return
        options = self._options
        if wanted == "leader":
            if not self._leadership.is_leader():
                where = self._leadership.leader_address() or "nobody now"
                raise RequestError(f"this server does not lead ({where}): ask the leader", 501)
            return
        own = f"{options.name}.{options.region}"
        for member in self._pool.members():
            if wanted not in {member.name, member.tags.get("id", "")}:
                continue
            if member.name != own:
                raise RequestError(f"this server passes no log on: ask {member.name} itself", 501)
            return
        raise RequestError(f"unknown Nomad server {wanted[:_ECHO_MAX]}")


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
            yield lines if plain else _framed(lines)
    finally:
        TAPS.close(tap)


def _framed(lines: bytes) -> bytes:
    if not lines:
        return b"{}"
    return msgspec.json.encode(Frame(data=b64encode(lines).decode(), file_event="log"))
