"""Attacks on gossip that lie about members, real ones and invented ones."""

from __future__ import annotations

import socket
from collections.abc import Callable

from attack_aim import Aim, Port, Target
from attack_http import request
from attack_values import Attack

from quorate.gossip.messages import (
    Address,
    Alive,
    Dead,
    JoinIntent,
    LeaveIntent,
    Message,
    PushPull,
    PushPullNode,
    SerfPushPull,
    Suspect,
    User,
    Versions,
)
from quorate.wire import gossip
from quorate.wire.memberlist.layers import Layers
from quorate.wire.memberlist.packet import compound
from quorate.wire.memberlist.stream import encode_stream

STRANGER = Address("127.66.9.9", 9)
HIGHEST = (1 << 32) - 1
HIGHEST_TIME = (1 << 64) - 1
KINDS = bytes(range(20))
LINES = 256 * 1024
"""Of the log: one for each server of the pool that is new, 512 at once and 16 a second."""
_PLAIN = Layers(compress=False)

Messages = Callable[[Target, int], list[Message]]


def tags(number: int, **other: str) -> bytes:
    """What an invented server says of itself."""
    return gossip.encode_tags(
        {
            "role": "nomad",
            "region": "global",
            "dc": "dc1",
            "id": f"{number:08d}-0000-4000-8000-000000000000",
            "rpc_addr": "127.66.9.9",
            "port": "9",
            "vsn": "1",
            "raft_vsn": "3",
            "quorate": "0.1.0",
            "build": "1.8.4",
            **other,
        }
    )


def serf(message: object) -> User:
    """A message of Serf's in memberlist's."""
    return User(gossip.encode_serf(message))  # type: ignore[arg-type]  # any of them


def packets(make: Messages) -> Callable[[Aim], None]:
    def encoded(target: Target, number: int) -> bytes:
        parts = [gossip.encode(message) for message in make(target, number)]
        return parts[0] if len(parts) == 1 else compound(parts)

    return lambda aim: aim.packets(encoded)


def raw(make: Callable[[Target, int], bytes]) -> Callable[[Aim], None]:
    return lambda aim: aim.packets(make)


def stream(message: Message, *, compress: bool = False) -> bytes:
    """A message as it travels by TCP."""
    layers = Layers(compress=compress)
    return encode_stream(gossip.encode(message), layers, nonce=bytes(12), dialler=True)


def streams(make: Callable[[Target, int], bytes]) -> Callable[[Aim], None]:
    return lambda aim: aim.each(Port.STREAM, make)


def _claimed_ids(target: Target, number: int) -> list[Message]:
    """A stranger's server with the ID of a member, at the stranger's address."""
    meta = tags(number, id=target.server_id)
    name = f"claims-{number % 8}.global"
    return [Alive(1 + number // 8, name, STRANGER, meta, Versions())]


def _nonsense_addresses(_: Target, number: int) -> list[Message]:
    hosts = ["nonsense", "a b", "", "[::1", "x" * 200, "127.0.0.1:1:2", "\x00", "::ffff:1.2.3.4"]
    meta = tags(number, rpc_addr=hosts[number % 8], port=["9", "0", "99999", "x"][number % 4])
    return [Alive(1 + number // 8, f"nonsense-{number % 8}.global", STRANGER, meta, Versions())]


def _taken_names(target: Target, number: int) -> list[Message]:
    """The name of a member, at another address."""
    meta = tags(number, id=target.server_id)
    return [Alive(number % 2000, target.name, STRANGER, meta, Versions())]


def _highest_incarnations(target: Target, number: int) -> list[Message]:
    kinds: list[Message] = [
        Suspect(HIGHEST, target.name, "evil"),
        Dead(HIGHEST, target.name, "evil"),
        Dead(HIGHEST, target.name, target.name),
        Alive(HIGHEST, target.name, STRANGER, tags(1), Versions()),
    ]
    return [kinds[number % 4]]


def _accusations(aim: Aim) -> None:
    """Every member is said to be suspect, dead or gone, by each other one, at its incarnation."""

    def make(_: Target, number: int) -> bytes:
        victim = aim.targets[number % 3]
        accuser = aim.targets[(number + 1) % 3]
        level = number // 9 % 200
        kinds: list[Message] = [
            Suspect(level, victim.name, accuser.name),
            Dead(level, victim.name, accuser.name),
            Suspect(level, victim.name, "evil"),
        ]
        return compound([gossip.encode(message) for message in kinds])

    aim.packets(make)


def _leave_intents(target: Target, number: int) -> list[Message]:
    times = [HIGHEST_TIME, 1 << 62, 1 << 40, number]
    ltime = times[number % 4]
    return [
        serf(LeaveIntent(ltime, target.name, prune=bool(number & 4))),
        serf(JoinIntent(ltime, target.name)),
    ]


def _invented(count: int, start: int = 0) -> PushPull:
    nodes = tuple(
        PushPullNode(
            f"invented-{number}.global",
            Address(f"127.66.{number >> 8 & 255}.{number & 255}", 9),
            tags(number),
            1,
            0,
            Versions(),
        )
        for number in range(start, start + count)
    )
    state = SerfPushPull(1, {node.name: 1 for node in nodes})
    return PushPull(True, nodes, gossip.encode_serf(state))


def _invented_members(aim: Aim) -> None:
    """16,000 of them in one exchange, and others by each packet."""
    many = stream(_invented(16_000))
    for target in aim.targets:
        if (connection := aim.connect(Port.STREAM, target)) is not None:
            with connection:
                aim.send(connection, many)
                aim.hear(connection)

    def more(_: Target, number: int) -> bytes:
        start = 20_000 + number * 8
        nodes = _invented(8, start).nodes
        return compound(
            [gossip.encode(Alive(1, n.name, n.address, n.meta, n.versions)) for n in nodes]
        )

    aim.packets(more)


def _log_lines(_: Target, number: int) -> list[Message]:
    evil = f"evil{number}\n\x1b[31mERROR forged\r"
    return [Alive(1, evil, STRANGER, tags(number), Versions()), Dead(1, evil, evil)]


def _foreign_region(aim: Aim) -> None:
    """A server of a region that does not exist, and requests that are to go there."""
    meta = tags(1, region="evil")
    alive = gossip.encode(Alive(1, "evil.evil", STRANGER, meta, Versions()))
    ask = request("GET", "/v1/agent/self?region=evil", "X-Nomad-Token: secret", "Cookie: a=b")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in aim.rounds():
            for target in aim.targets:
                aim.sent += out.sendto(alive, (target.host, target.serf))
                if (connection := aim.connect(Port.HTTP, target)) is not None:
                    with connection:
                        aim.send(connection, ask)
                        aim.hear(connection, 1, 0.05)


def _exchanges(_: Target, number: int) -> bytes:
    return stream(_invented(200, number % 4 * 200))


MEMBERS = [
    Attack("log lines by gossip", Port.PACKET, packets(_log_lines), "63 MB in 0.3 s"),
    Attack("nonsense addresses", Port.PACKET, packets(_nonsense_addresses), "every leader dies"),
    Attack(
        "foreign region", Port.PACKET, _foreign_region, "8 GB of memory, tokens lost", lasting=True
    ),
    Attack(
        "claimed IDs",
        Port.PACKET,
        packets(_claimed_ids),
        "Raft goes to the stranger",
        lasting=True,
    ),
    Attack("accusations", Port.PACKET, _accusations, lasting=True),
    Attack("taken names", Port.PACKET, packets(_taken_names), lasting=True),
    Attack(
        "highest incarnations",
        Port.PACKET,
        packets(_highest_incarnations),
        "a victim is failed for ever",
        lasting=True,
    ),
    Attack(
        "leave intents",
        Port.PACKET,
        packets(_leave_intents),
        "voters become non-voters",
        lasting=True,
    ),
    Attack("exchanges", Port.STREAM, streams(_exchanges), log_bytes=LINES, lasting=True),
    Attack(
        "invented members",
        Port.PACKET,
        _invented_members,
        "19 s without a leader",
        log_bytes=LINES,
        lasting=True,
    ),
]
