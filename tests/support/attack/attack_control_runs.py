"""What an attack is compared with: as many bytes in as much time, all of them valid."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Protocol

from attack_aim import SOURCE, Aim, Port, Target

from quorate.gossip.messages import Ping, PushPull
from quorate.wire import gossip
from quorate.wire.memberlist.layers import Layers
from quorate.wire.memberlist.stream import StreamReader, encode_stream

_BATCH_S = 0.02
_GET = b"GET /v1/status/leader?stale HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ME = (
    b'{"me":{"id":"asker","name":"asker","region":"global","datacenter":"dc1",'
    b'"address":"127.0.0.1:9","serf_port":1,"version":"0"}}'
)
_GREET = (
    b"POST /v1/internal/greet HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(_ME)
) + _ME
_PLAIN = Layers(compress=False)


def valid(aim: Aim, port: Port, total: int, seconds: float) -> None:
    """Send `total` valid bytes to this port of the servers, evenly over the time."""
    began = time.monotonic()
    sender = _SENDERS[port](aim)
    for number in aim.rounds():
        due = total * min(1.0, (time.monotonic() - began) / seconds)
        while aim.sent < due and aim.left() > 0:
            sender.send(aim.targets[number % len(aim.targets)])
            number += 1  # noqa: PLW2901 - the servers in turn
        time.sleep(_BATCH_S)
        if aim.sent >= total:
            return


class _Requests:
    """Requests on one connection to each server; answers are read."""

    port = Port.HTTP
    request = _GET

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.links: dict[Target, socket.socket] = {}

    def send(self, target: Target) -> None:
        link = self.links.get(target)
        if link is None:
            link = self.aim.connect(self.port, target)
            if link is None:
                return
            self.links[target] = link
            self.aim.kept.append(link)
        if not (self.aim.send(link, self.request * 16) and self.aim.hear(link, 16 * 100)):
            del self.links[target]


class _Local(_Requests):
    port = Port.CONTROL


class _Calls(_Requests):
    """The only thing at this port that is not for members alone: "who are you?"."""

    port = Port.RPC
    request = _GREET


class _Pings:
    """Every member answers them."""

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind((SOURCE, 0))
        aim.kept.append(self.out)

    def send(self, target: Target) -> None:
        data = gossip.encode(Ping(1, target.name))
        self.aim.sent += self.out.sendto(data, (target.host, target.serf))


class _Exchanges:
    """The state of the pool, as a member has just said it."""

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.data = b""

    def send(self, target: Target) -> None:
        link = self.aim.connect(Port.STREAM, target)
        if link is None:
            return
        with link:
            ours = self.data or encode_stream(
                gossip.encode(PushPull(False, ())), _PLAIN, nonce=bytes(12), dialler=True
            )
            self.aim.send(link, ours)
            said = self.aim.hear(link, 1 << 20)
        if not self.data:
            reader = StreamReader(_PLAIN, from_dialler=False)
            if reader.feed(said):
                state = gossip.encode(reader.message())
                self.data = encode_stream(state, _PLAIN, nonce=bytes(12), dialler=True)


class _Sender(Protocol):
    def send(self, target: Target) -> None:
        """Something valid."""


_SENDERS: dict[Port, Callable[[Aim], _Sender]] = {
    Port.HTTP: _Requests,
    Port.CONTROL: _Local,
    Port.RPC: _Calls,
    Port.PACKET: _Pings,
    Port.STREAM: _Exchanges,
}
