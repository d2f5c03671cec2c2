"""Attacks on the control socket, by a program of the agent's own user."""

from __future__ import annotations

from collections.abc import Callable

import attack_http as http
from attack_aim import Aim, Port, Target
from attack_values import Attack


def _each(make: Callable[[Target, int], bytes]) -> Callable[[Aim], None]:
    return lambda aim: aim.each(Port.CONTROL, make)


def _slow_heads(aim: Aim) -> None:
    aim.hold(Port.CONTROL, 90, lambda _t, _n: b"GET / HTTP/1.1\r\nX: ", b"y")


def _unread(aim: Aim) -> None:
    ask = http.request("GET", "/v1/agent/self") * 50
    aim.hold(Port.CONTROL, 90, lambda _t, _n: ask, ask)


def _churn(aim: Aim) -> None:
    aim.each(Port.CONTROL, lambda _t, _n: b"G", hears=0)


CONTROL = [
    Attack("socket: smuggling", Port.CONTROL, _each(http.smuggled)),
    Attack("socket: heavy bodies", Port.CONTROL, _each(http.heavy_body)),
    Attack("socket: deep JSON", Port.CONTROL, _each(http.deep_json)),
    Attack("socket: huge URLs", Port.CONTROL, _each(http.huge_urls)),
    Attack("socket: slow heads", Port.CONTROL, _slow_heads),
    Attack("socket: unread answers", Port.CONTROL, _unread),
    Attack("socket: churn", Port.CONTROL, _churn),
]
