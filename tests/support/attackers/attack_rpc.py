"""Attacks on the RPC port by bytes and connections: frames, handshakes, floods."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import msgspec
from attack_aim import Aim, Port, Target
from attack_rpc_calls import CALLS, first_of, proven
from attack_values import Attack
from strangers import RAFT, Stranger

from quorate.errors import BadFrame
from quorate.raft.values.messages import PreVoteRequest, TimeoutNowRequest
from quorate.wire.handshake import DialerHandshake, Voucher
from quorate.wire.raft.messages import encode_request

GIANTS = [
    b"\x81\xa6Leader\xc6\xff\xff\xff\xff",
    b"\x81\xa7Entries\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\x91" * 10_000,
    b"\x81\xa1a" * 10_000,
]


def _unfinished_frames(aim: Aim) -> None:
    """Frames of 60 MB whose end does not come, on many connections."""
    frame = RAFT + b"\x00\x81\xa6Leader\xc6\x03\x90\x00\x00"
    aim.hold(Port.RPC, 90, lambda _t, _n: frame + bytes(1 << 18), bytes(1 << 18))


def _bombs(_: Target, number: int) -> bytes:
    giant = GIANTS[number // 2 % len(GIANTS)]
    if number % 2:
        return b"\x11" + min(len(giant), 2000).to_bytes(2, "big") + giant[:2000]
    return RAFT + b"\x00" + giant + bytes(1000)


def _half_handshakes(aim: Aim) -> None:
    first = Stranger().speaker
    hello = first_of(first)
    aim.hold(Port.RPC, 90, lambda _t, n: hello[: 1 + n % (len(hello) - 1)])


def _replays(aim: Aim) -> None:
    """The words of a handshake that was good, once more."""
    recorded: dict[Target, bytes] = {}
    for target in aim.targets:
        with contextlib.suppress(OSError, BadFrame, AssertionError):
            recorded[target] = _spoken(Stranger(), target)
    for _ in aim.rounds():
        for target, data in recorded.items():
            if (connection := aim.connect(Port.RPC, target)) is not None:
                with connection:
                    aim.send(connection, data + RAFT + encode_request(TimeoutNowRequest()))
                    aim.hear(connection, 4096, 0.05)


def _spoken(stranger: Stranger, target: Target) -> bytes:
    """All that the dialer said in a handshake that was good."""
    handshake = DialerHandshake(stranger.speaker, stranger.key, bytes(32), lambda _: "")
    said = [handshake.first]
    with socket.create_connection((target.host, target.rpc), timeout=2) as connection:
        connection.sendall(handshake.first)
        while handshake.peer is None:
            data = connection.recv(4096)
            assert data
            said.append(handshake.feed(data))
        connection.sendall(said[-1])
    return b"".join(said)


def _handshakes(aim: Aim) -> None:
    """Whole handshakes, each with vouchers that have to be verified."""
    stranger = Stranger()
    for number in aim.rounds():
        for target in aim.targets:
            vouchers = tuple(
                Voucher(each.server_id, number.to_bytes(64, "big")) for each in aim.targets
            )
            stranger.speaker = msgspec.structs.replace(stranger.speaker, vouchers=vouchers)
            if (connection := proven(aim, target, stranger)) is not None:
                connection.close()


def _impostors(aim: Aim) -> None:
    """The ID and address of a member, with another key."""
    for _ in aim.rounds():
        for target in aim.targets:
            for other in aim.targets:
                stranger = Stranger(other.server_id, address=other.rpc_address)
                if (connection := proven(aim, target, stranger)) is not None:
                    connection.close()


def _mode_bytes(_: Target, number: int) -> bytes:
    return bytes((number % 256,)) + bytes(range(256)) * 20


def _long_handshakes(_: Target, number: int) -> bytes:
    return b"\x11" + (b"\xff\xff" if number % 2 else b"\x08\x00") + b"\x81" * 70_000


def _slow(aim: Aim) -> None:
    aim.hold(Port.RPC, 90, lambda _t, _n: b"POST /v1/internal/greet HTTP/1.1\r\nX: ", b"y")


def _library_calls(aim: Aim) -> None:
    """The frames by which replicas of the library call each other."""
    frames = [b"\x12\xff\xff\xff\xff", b"\x12\x00\x00\xff\xff" + b"\x92" * 65535, b"\x12"]
    stranger = Stranger()
    for number in aim.rounds():
        for target in aim.targets:
            if (connection := proven(aim, target, stranger)) is not None:
                with connection:
                    aim.send(connection, frames[number % 3])
                    aim.hear(connection, 1, 0.02)


def _connections(aim: Aim) -> None:
    for number in aim.rounds():
        for target in aim.targets:
            link = aim.connect(Port.RPC, target, f"127.66.{number % 4}.{1 + number // 4 % 250}")
            if link is not None:
                aim.kept.append(link)
        if len(aim.kept) > 900:
            aim.end()


def _each(make: Callable[[Target, int], bytes]) -> Callable[[Aim], None]:
    return lambda aim: aim.each(Port.RPC, make)


def _pipelined_votes(aim: Aim) -> None:
    """Requests without an end, on connections that prove nothing, and on proven ones."""
    votes = b"".join(encode_request(PreVoteRequest(term=2, sender_id="evil")) for _ in range(500))
    aim.pour(Port.RPC, RAFT, votes)


RPC = [
    *CALLS,
    Attack("unfinished frames", Port.RPC, _unfinished_frames, "5.5 GB of memory"),
    Attack("half handshakes", Port.RPC, _half_handshakes),
    Attack("replays", Port.RPC, _replays),
    Attack("handshakes", Port.RPC, _handshakes),
    Attack("impostors", Port.RPC, _impostors),
    Attack("long handshakes", Port.RPC, _each(_long_handshakes)),
    Attack("mode bytes", Port.RPC, _each(_mode_bytes)),
    Attack("msgpack bombs", Port.RPC, _each(_bombs)),
    Attack("slow calls", Port.RPC, _slow),
    Attack("library calls", Port.RPC, _library_calls),
    Attack("RPC connections", Port.RPC, _connections, descriptors=1000),
    Attack("pipelined votes", Port.RPC, _pipelined_votes),
]
