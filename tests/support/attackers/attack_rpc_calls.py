"""Attacks on the RPC port by what is asked there: requests of Raft, and calls between servers.

By a client without a key, or with a key of its own that no cluster knows.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from attack_aim import Aim, Port, Target
from attack_http import request
from attack_values import Attack
from strangers import RAFT, Stranger

from quorate.errors import BadFrame
from quorate.net.key_pair import KeyPair
from quorate.raft.values.messages import (
    AnyRequest,
    AppendEntriesRequest,
    Entry,
    EntryKind,
    InstallSnapshotRequest,
    PreVoteRequest,
    RequestVoteRequest,
    TimeoutNowRequest,
)
from quorate.wire.handshake import DialerHandshake, Speaker
from quorate.wire.raft.messages import encode_request

HIGHEST = (1 << 64) - 1
EVIL = "127.66.9.9:9"

Requests = Callable[[Target], list[AnyRequest]]


def proven(aim: Aim, target: Target, stranger: Stranger) -> socket.socket | None:
    """A connection on which the stranger has proven its own key; None if it is refused."""
    try:
        connection = stranger.connect(target.rpc_address, lambda c: aim.dressed(Port.RPC, c))
    except (OSError, AssertionError, BadFrame):
        return None
    aim.opened += 1
    aim.sent += 700
    return connection


def _raft(make: Requests) -> Callable[[Aim], None]:
    """These requests, on connections with and without a proof in turn."""

    def run(aim: Aim) -> None:
        stranger = Stranger()
        for number in aim.rounds():
            for target in aim.targets:
                if number % 2:
                    connection = proven(aim, target, stranger)
                else:
                    connection = aim.connect(Port.RPC, target)
                if connection is not None:
                    with connection:
                        aim.send(connection, RAFT + b"".join(map(encode_request, make(target))))
                        aim.hear(connection, 100, 0.05)

    return run


def _highest_terms(target: Target) -> list[AnyRequest]:
    sender = {"sender_id": target.server_id, "sender_address": target.rpc_address}
    return [
        AppendEntriesRequest(term=term, leader=EVIL, **who)  # type: ignore[arg-type]
        for term in (HIGHEST, 1 << 62, 1 << 40)
        for who in ({}, sender)
    ]


def _forged_heartbeats(target: Target) -> list[AnyRequest]:
    entry = Entry(index=10**6, term=10**6, kind=EntryKind.COMMAND, data=b"evil")
    return [
        AppendEntriesRequest(term=10**6, leader=EVIL, sender_id="evil", sender_address=EVIL),
        AppendEntriesRequest(
            term=10**6,
            leader=EVIL,
            sender_id=target.server_id,
            sender_address=EVIL,
            entries=(entry,),
            leader_commit=10**6,
        ),
    ]


def _forged_votes(target: Target) -> list[AnyRequest]:
    fields: dict[str, Any] = {
        "term": 10**6,
        "last_log_index": 10**9,
        "last_log_term": 10**6,
        "sender_id": target.server_id,
        "sender_address": EVIL,
    }
    return [
        RequestVoteRequest(candidate=EVIL, leadership_transfer=True, **fields),
        PreVoteRequest(**fields),
        TimeoutNowRequest(),
        TimeoutNowRequest(sender_id=target.server_id),
    ]


def _garbage_snapshots(target: Target) -> list[AnyRequest]:
    return [
        InstallSnapshotRequest(
            term=10**6,
            leader=EVIL,
            last_log_index=10**6,
            last_log_term=10**6,
            configuration=b"\xff" * 100,
            size=1 << 62,
            sender_id=target.server_id,
        )
    ]


# -- calls -----------------------------------------------------------------------------------------


def identity(**other: Any) -> dict[str, Any]:
    """What a stranger says it is."""
    return {
        "id": "evil",
        "name": "evil",
        "region": "global",
        "datacenter": "dc1",
        "address": EVIL,
        "serf_port": 1,
        "version": "0",
        **other,
    }


def call(verb: str, body: Any) -> bytes:
    """A call of one server to another, as it is sent."""
    return request("POST", f"/v1/internal/{verb}", body=json.dumps(body).encode())


def _calls(make: Callable[[Target, int], list[bytes]]) -> Callable[[Aim], None]:
    """These calls, with and without a proof in turn."""

    def run(aim: Aim) -> None:
        stranger = Stranger(address=EVIL)
        for number in aim.rounds():
            for target in aim.targets:
                for data in make(target, number):
                    if number % 2:
                        connection = proven(aim, target, stranger)
                    else:
                        connection = aim.connect(Port.RPC, target)
                    if connection is not None:
                        with connection:
                            aim.send(connection, data)
                            aim.hear(connection, 1, 0.05)

    return run


def _nonsense_joins(_: Target, number: int) -> list[bytes]:
    addresses = ["nonsense", "", "a:0", "[::1", "127.0.0.1:99999", "x" * 300 + ":1", "a\nb:1"]
    joiner = identity(address=addresses[number // 2 % len(addresses)])
    return [call("join", joiner), call("rejoin", joiner)]


def _forged_verdicts(_: Target, number: int) -> list[bytes]:
    verdict = {"index": (1 << 61) if number % 4 < 2 else 5, "by": "evil", "right": "f" * 64}
    return [call("state-verdict", verdict), call("state-digest", {"index": 1 << 62})]


def _departures(target: Target, _: int) -> list[bytes]:
    return [call("leave", {"id": target.server_id}), call("view", {})]


def _public_api(_: Target, number: int) -> list[bytes]:
    paths = [
        ("PUT", "/v1/operator/raft/transfer-leadership"),
        ("DELETE", "/v1/operator/raft/peer?id=evil"),
        ("PUT", "/v1/agent/join?address=127.66.9.9"),
        ("GET", "/v1/agent/self"),
    ]
    return [request(method, path, body=b"{}") for method, path in paths]


def _founding(target: Target, _: int) -> list[bytes]:
    servers = [(target.server_id, target.rpc_address), ("evil", EVIL)]
    proposal = {"proposer": "evil", "cluster_id": "e", "region": "global", "servers": servers}
    return [call("bootstrap-promise", proposal), call("bootstrap-commit", proposal)]


def _many_joins(aim: Aim) -> None:
    """A new ID and key each time."""
    for number in aim.rounds():
        where = f"127.66.8.{number % 250}:9"
        stranger = Stranger(f"evil-{number}", address=where)
        for target in aim.targets:
            if (connection := proven(aim, target, stranger)) is not None:
                with connection:
                    joiner = identity(id=f"evil-{number}", name=f"evil-{number}", address=where)
                    aim.send(connection, call("join", joiner))
                    aim.hear(connection, 1, 0.05)


def _greetings(aim: Aim) -> None:
    """Small questions with larger answers, in heaps, which are not read."""
    data = call("greet", {"me": identity()}) * 50
    aim.hold(Port.RPC, 60, lambda _t, _n: data, data)


def _heavy_calls(_: Target, number: int) -> list[bytes]:
    bodies = [
        b"[" * 60_000,
        b'{"me":' + b'{"a":' * 20_000,
        json.dumps({"me": identity(), "others": [identity()] * 300}).encode(),
        b'{"me":"' + b"\\u0041" * 10_000 + b'"}',
        b'{"index":' + b"9" * 60_000 + b"}",
    ]
    return [request("POST", "/v1/internal/greet", body=bodies[number // 2 % len(bodies)])]


def _log_lines(aim: Aim) -> None:
    """IDs, regions, verbs, versions that would forge lines or fill the log."""
    forged = first_of(Stranger("printable").speaker).replace(b"printable", b"a\x1b[31m\nER")
    for number in aim.rounds():
        evil = f"evil{number}"
        stranger = Stranger(evil, region=f"r{number}")
        for target in aim.targets:
            if (connection := proven(aim, target, stranger)) is not None:
                with connection:
                    data = encode_request(PreVoteRequest(term=1, sender_id=f"{evil}\n\x1b[2J"))
                    aim.send(connection, RAFT + data)
                    aim.hear(connection, 1, 0.02)
            for data in (forged, call(f"{evil}%0a%1b", {})):
                if (connection := aim.connect(Port.RPC, target)) is not None:
                    with connection:
                        aim.send(connection, data)


def first_of(speaker: Speaker) -> bytes:
    return DialerHandshake(speaker, KeyPair.generate(), bytes(32), lambda _: "").first


CALLS = [
    Attack("highest terms", Port.RPC, _raft(_highest_terms), "all servers exit, for ever"),
    Attack("garbage snapshots", Port.RPC, _raft(_garbage_snapshots), "the server ends for ever"),
    Attack("nonsense joins", Port.RPC, _calls(_nonsense_joins), "every leader dies, for ever"),
    Attack("forged verdicts", Port.RPC, _calls(_forged_verdicts), "nobody may lead, for ever"),
    Attack("forged heartbeats", Port.RPC, _raft(_forged_heartbeats), "clients go to the stranger"),
    Attack("forged votes", Port.RPC, _raft(_forged_votes), "80 elections"),
    Attack("departures", Port.RPC, _calls(_departures), "any server is removed"),
    Attack("public API", Port.RPC, _calls(_public_api), "answered to anybody"),
    Attack("log lines by RPC", Port.RPC, _log_lines, "63 MB in 0.3 s, forged lines"),
    Attack("greetings", Port.RPC, _greetings, "1.1 MB for 200 bytes"),
    Attack("many joins", Port.RPC, _many_joins, "hundreds of servers"),
    Attack("foundings", Port.RPC, _calls(_founding)),
    Attack("heavy calls", Port.RPC, _calls(_heavy_calls)),
]
