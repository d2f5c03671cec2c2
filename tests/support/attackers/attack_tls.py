"""Attacks on servers that speak TLS at their HTTP port and with each other.

By one without a certificate, with one of another authority, with that of a client, and with that of
a server, the key of whose data folder it does not have.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from attack_aim import TLS_BYTE, Aim, Port, Target, in_tls
from attack_http import GET, HTTP, request
from attack_rpc import RPC
from attack_rpc_calls import call, first_of, identity
from attack_values import Attack, Run
from strangers import RAFT, Stranger

from quorate.raft.values.messages import PreVoteRequest
from quorate.wire.raft.messages import encode_request

NOBODY = ""
FOREIGN = "foreign"
CLIENT = "client"
SERVER = "s0"
_RECORD_MAX = 1 << 14

_KNOWN: dict[str, Run] = {attack.name: attack.run for attack in (*HTTP, *RPC)}


def _over(name: str, run: Run) -> Run:
    """The same, on connections of TLS with the certificate of that name."""

    def attack(aim: Aim) -> None:
        with in_tls(aim, name):
            run(aim)

    return attack


def _each(port: Port, make: Callable[[Target, int], bytes]) -> Run:
    return lambda aim: aim.each(port, make)


# -- before there is TLS ---------------------------------------------------------------------------


def _hello() -> bytes:
    """What a client of TLS says first."""
    said = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    connection = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="server.global.nomad")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return said.read()
    raise AssertionError("a handshake with nobody")


def _record(content: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 1)) + len(content).to_bytes(2, "big") + content


_GARBAGE = [
    _record(bytes(_RECORD_MAX)),
    b"\x16\x03\x01\xff\xff" + bytes(1 << 16),
    _record(b"\x01\xff\xff\xff" + b"\x03\x03" * 8000),
    _record(b"\x01\x00\x00\x04\xff\xff\xff\xff") * 500,
    _record(b"\x15") * 1000,
    _record(b"\x02\x28", 21) * 1000,
    b"\x16" + b"GET / HTTP/1.1\r\n" * 500,
]


def _opened(port: Port) -> bytes:
    """By what TLS begins at that port."""
    return TLS_BYTE if port is Port.RPC else b""


def _garbage(port: Port) -> Run:
    hello = _hello()

    def make(_: Target, number: int) -> bytes:
        garbage = _GARBAGE[number // 2 % len(_GARBAGE)]
        return _opened(port) + (hello if number % 2 else b"") + garbage

    return _each(port, make)


def _half_handshakes(port: Port) -> Run:
    def attack(aim: Aim) -> None:
        hello = _hello()
        aim.hold(port, 90, lambda _t, n: _opened(port) + hello[: 1 + n % len(hello)])

    return attack


def _endless_hello(port: Port) -> Run:
    """A first message of 16 MB, a record at a time."""

    def attack(aim: Aim) -> None:
        head = b"\x01\xff\xff\xff\x03\x03" + bytes(32)
        aim.pour(port, _opened(port) + _record(head), _record(bytes(_RECORD_MAX)))

    return attack


def _hellos(port: Port) -> Run:
    """A good beginning, to which the server has to answer with its certificate, and no end."""

    def attack(aim: Aim) -> None:
        hello = _opened(port) + _hello()
        aim.each(port, lambda _t, _n: hello)

    return attack


def _plain_rpc(_: Target, number: int) -> bytes:
    vote = encode_request(PreVoteRequest(term=2, sender_id="evil"))
    said = [RAFT + vote * 100, first_of(Stranger().speaker), call("greet", {"me": identity()}) * 50]
    return said[number % len(said)]


# -- within it -------------------------------------------------------------------------------------


def _tiny_records(aim: Aim) -> None:
    """A record of TLS for each byte, on many connections."""
    data = request("GET", "/v1/status/leader?stale", "X: " + "y" * 500)
    with in_tls(aim, CLIENT):
        for _ in aim.rounds():
            for target in aim.targets:
                if (connection := aim.connect(Port.HTTP, target)) is not None:
                    with connection:
                        for byte in data:
                            if not aim.send(connection, bytes((byte,))):
                                break
                        aim.hear(connection, 1, 0.05)


def _http(name: str) -> Attack:
    return Attack(f"TLS: {name}", Port.HTTP, _over(CLIENT, _KNOWN[name]), tls=True)


def _rpc(name: str) -> Attack:
    return Attack(f"TLS by RPC: {name}", Port.RPC, _over(SERVER, _KNOWN[name]), tls=True)


def _both(what: str, make: Callable[[Port], Run]) -> list[Attack]:
    return [
        Attack(f"TLS: {what}", Port.HTTP, make(Port.HTTP), tls=True),
        Attack(f"TLS by RPC: {what}", Port.RPC, make(Port.RPC), tls=True),
    ]


_GET_EACH = _each(Port.HTTP, lambda _t, _n: GET)

TLS = [
    Attack("TLS: plain requests", Port.HTTP, _GET_EACH, tls=True),
    Attack("TLS by RPC: plain requests", Port.RPC, _each(Port.RPC, _plain_rpc), tls=True),
    *_both("half handshakes", _half_handshakes),
    *_both("hellos", _hellos),
    *_both("endless hellos", _endless_hello),
    *_both("garbage records", _garbage),
    Attack("TLS: no certificate", Port.HTTP, _over(NOBODY, _GET_EACH), tls=True),
    Attack("TLS: another authority", Port.HTTP, _over(FOREIGN, _GET_EACH), tls=True),
    Attack("TLS: tiny records", Port.HTTP, _tiny_records, tls=True),
    *map(_http, ("churn", "heavy bodies", "slow heads", "unread answers", "pipelines")),
    *(
        Attack(f"TLS by RPC: {what}", Port.RPC, _over(name, _KNOWN["forged votes"]), tls=True)
        for what, name in (
            ("no certificate", NOBODY),
            ("another authority", FOREIGN),
            ("that of a client", CLIENT),
        )
    ),
    *map(
        _rpc,
        (
            *("highest terms", "forged votes", "departures", "public API", "handshakes"),
            *("impostors", "unfinished frames", "greetings", "slow calls"),
        ),
    ),
]
"""Where nothing is said of a certificate, it is that of a client or, by RPC, of a server."""
