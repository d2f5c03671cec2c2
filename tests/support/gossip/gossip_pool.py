"""A simulated pool: members on virtual time, and a network that loses, delays and parts."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gossip_codec import PlainCodec

from quorate.gossip import LAN, Node, Settings
from quorate.gossip.effects import (
    Effect,
    EventArrived,
    MemberChanged,
    Refused,
    SendPacket,
    StreamReply,
    StreamRequest,
)
from quorate.gossip.events import (
    Event,
    JoinRequested,
    PacketReceived,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
    Tick,
)
from quorate.gossip.messages import Address, Alive, SerfStatus
from quorate.gossip.settings import PARTS_MAX

CODEC = PlainCodec()
PORT = 4648
Watch = Callable[["Host", Event, list[Effect]], None]


@dataclass
class Weather:
    """What the network does to each packet, and how long a stream takes."""

    loss: float = 0.0
    delay: tuple[float, float] = (0.0002, 0.001)
    duplicate: float = 0.0


@dataclass(eq=False)
class Host:
    """One process: a member, until it is stopped."""

    name: str
    address: Address
    node: Node
    up: bool = True
    frozen: bool = False
    restarted: bool = False
    wake: float = math.inf
    packets: int = 0
    parts: int = 0
    size: int = 0
    log: list[tuple[float, Effect]] = field(default_factory=list)
    refused: Counter[Any] = field(default_factory=Counter)

    def status(self, name: str) -> SerfStatus:
        known = self.node.roster.get(name)
        return known.status if known else SerfStatus.NONE

    def of(self, kind: type) -> list[Any]:
        """The effects of a kind that were reported."""
        return [effect for _, effect in self.log if isinstance(effect, kind)]


class Pool:
    """See the module. `watch` is called after every step."""

    def __init__(
        self,
        seed: int,
        settings: Settings = LAN,
        *,
        weather: Weather | None = None,
        watch: Watch | None = None,
        keep_log: bool = True,
        trace: bool = False,
    ) -> None:
        self.rng = Random(f"pool {seed}")
        self.settings = settings
        self.weather = weather or Weather()
        self.now = 0.0
        self.hosts: dict[str, Host] = {}
        self.at: dict[Address, Host] = {}
        self.side: dict[str, int] = {}  # which side of a cut a host is on
        self.watch = watch
        self.keep_log = keep_log
        self.trace = hashlib.blake2b(digest_size=16) if trace else None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._streams: dict[int, tuple[Host, int]] = {}
        self._started = 0

    # -- hosts ----------------------------------------------------------------------------------

    def start(
        self,
        name: str,
        ip: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        **more: Any,
    ) -> Host:
        """A new process; an old one of this name is gone."""
        self._started += 1
        number = len(self.hosts) + 1
        address = Address(ip or f"10.0.{number >> 8}.{number & 255}", PORT)
        old = self.hosts.get(name)
        if old is not None:
            self.stop(name)
            if not ip:
                address = old.address
        node = Node(
            name=name,
            address=address,
            tags=tags or {"role": "server"},
            settings=settings or self.settings,
            codec=CODEC,
            rng=Random(f"{name} {self._started} {self.rng.random()}"),
            now=self.now,
            **more,
        )
        host = self.hosts[name] = self.at[address] = Host(name, address, node)
        host.restarted = old is not None
        self.step(host, Tick())
        return host

    def start_twin(self, name: str, ip: str) -> Host:
        """A second process of a name, while the first goes on; it is the one in `hosts`."""
        first = self.hosts[name]
        host = self.start(name, ip)
        first.up = True
        self.at[first.address] = first
        return host

    def stop(self, name: str) -> None:
        """Kill the process."""
        host = self.hosts[name]
        host.up = False
        if self.at.get(host.address) is host:
            del self.at[host.address]

    def join(self, name: str, *others: str) -> None:
        targets = tuple((self.hosts[other].address, other) for other in others)
        self.step(self.hosts[name], JoinRequested("join", targets))

    def grow(self, count: int) -> list[Host]:
        """So many members, joined through the first."""
        hosts = [self.start(f"s{number}") for number in range(count)]
        for host in hosts[1:]:
            self.join(host.name, hosts[0].name)
        return hosts

    def up(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.up]

    # -- time -----------------------------------------------------------------------------------

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay, self._order, action))

    def run(self, seconds: float) -> None:
        """So much virtual time."""
        self.run_until(lambda: False, seconds, every=math.inf)

    def run_until(self, done: Callable[[], bool], limit: float, every: float = 0.0) -> float:
        """Until `done`, looked at after each event (or each `every` seconds); the time it took.

        Infinite if it was not done within `limit`.
        """
        begin, end = self.now, self.now + limit
        look = begin
        while True:
            if self.now >= look:
                if every != math.inf and done():
                    return self.now - begin
                look = self.now + every
            if not self._queue or self._queue[0][0] > end:
                self.now = end
                return math.inf
            self.now, _, action = heapq.heappop(self._queue)
            action()

    # -- steps ----------------------------------------------------------------------------------

    def step(self, host: Host, event: Event) -> list[Effect]:
        """Give a host an event, and do what it wants done."""
        effects = host.node.step(event, self.now)
        if self.watch is not None:
            self.watch(host, event, effects)
        if self.trace is not None:
            self.trace.update(repr((self.now, host.name, effects)).encode())
        for effect in effects:
            if type(effect) is SendPacket:
                self._send(host, effect)
            elif type(effect) is StreamRequest:
                self._open(host, effect)
            elif type(effect) is StreamReply:
                self._reply(effect)
            elif type(effect) is Refused:
                host.refused[effect.reason] += 1
            elif self.keep_log:
                host.log.append((self.now, effect))
        self._rest(host)
        return effects

    def _rest(self, host: Host) -> None:
        due = host.node.deadline()
        if due < host.wake:
            host.wake = due
            self.later(max(0.0, due - self.now), lambda: self._wake(host, due))

    def _wake(self, host: Host, due: float) -> None:
        if host.wake != due:
            return
        host.wake = math.inf
        if host.frozen:
            return
        if host.up:
            self.step(host, Tick())

    def freeze(self, name: str, seconds: float) -> None:
        """The process stands still; packets wait in its socket."""
        host = self.hosts[name]
        host.frozen = True

        def thaw() -> None:
            host.frozen = False
            host.wake = math.inf
            self._rest(host)

        self.later(seconds, thaw)

    # -- network --------------------------------------------------------------------------------

    def part(self, *sides: list[str]) -> None:
        """Cut the network: only within a side anything arrives."""
        self.side = {name: number for number, side in enumerate(sides) for name in side}

    def heal(self) -> None:
        self.side = {}

    def _reaches(self, a: Host, b: Host) -> bool:
        return self.side.get(a.name, -1) == self.side.get(b.name, -1)

    def _send(self, host: Host, packet: SendPacket) -> None:
        size = sum(map(len, packet.parts))
        assert 0 < len(packet.parts) <= PARTS_MAX
        assert size + 2 * len(packet.parts) + 7 <= 1400 or len(packet.parts) == 1
        host.packets += 1
        host.parts += len(packet.parts)
        host.size += size
        weather = self.weather
        if weather.loss and self.rng.random() < weather.loss:
            return
        target = self.at.get(packet.to)
        if target is None or not self._reaches(host, target):
            return
        times = 1 + (weather.duplicate > 0 and self.rng.random() < weather.duplicate)
        for _ in range(times):
            low, high = weather.delay
            delay = low + (high - low) * self.rng.random()
            self.later(delay, lambda: self._arrive(host.address, target, packet))

    def _arrive(self, source: Address, target: Host, packet: SendPacket) -> None:
        if target.frozen:
            self.later(0.01, lambda: self._arrive(source, target, packet))
        elif target.up and self.at.get(packet.to) is target:
            decode = CODEC.decode
            self.step(target, PacketReceived(source, tuple(map(decode, packet.parts))))

    def _open(self, host: Host, request: StreamRequest) -> None:
        target = self.at.get(request.to)
        delay = self.weather.delay[1] * 2
        if target is None:
            self.later(delay, lambda: self._fail(host, request, "connection refused"))
        elif not self._reaches(host, target) or target.frozen:
            self.later(request.timeout_s, lambda: self._fail(host, request, "timed out"))
        else:
            self._order += 1
            self._streams[self._order] = (host, request.handle)
            handle = self._order
            event = StreamReceived(handle, host.address, request.message)
            self.later(delay, lambda: self._serve(target, event))

    def _serve(self, target: Host, event: StreamReceived) -> None:
        if target.up:
            self.step(target, event)
        else:
            host, handle = self._streams.pop(event.handle)
            if host.up:
                self.step(host, StreamFailed(handle, "connection reset"))

    def _fail(self, host: Host, request: StreamRequest, reason: str) -> None:
        if host.up:
            self.step(host, StreamFailed(request.handle, reason))

    def _reply(self, reply: StreamReply) -> None:
        if reply.handle not in self._streams:
            return  # a test asked, and does not wait
        host, handle = self._streams.pop(reply.handle)
        event: Event = StreamFailed(handle, "closed without an answer")
        if reply.message is not None:
            event = StreamAnswered(handle, reply.message)
        self.later(self.weather.delay[1], lambda: self._hear(host, event))

    def _hear(self, host: Host, event: Event) -> None:
        if host.up:
            self.step(host, event)

    # -- what one asks of it --------------------------------------------------------------------

    def sees(self, name: str, status: SerfStatus) -> bool:
        """Do all others that are up see `name` so?"""
        return all(h.status(name) is status for h in self.up() if h.name != name)

    def agrees(self) -> bool:
        """Does everybody who is up see exactly those alive that are?"""
        alive = {host.name for host in self.up()}
        return all(
            {n for n, k in host.node.roster.members.items() if k.status is SerfStatus.ALIVE}
            == alive
            for host in self.up()
        )

    def agrees_on_addresses(self) -> bool:
        """Does everybody also know where everybody is?"""
        return self.agrees() and all(
            host.node.roster.members[other.name].address == other.address
            for host in self.up()
            for other in self.up()
        )

    def changes(self, host: str, name: str) -> list[str]:
        """What was reported at `host` about `name`, in order."""
        return [
            effect.change.name
            for effect in self.hosts[host].of(MemberChanged)
            if effect.member.name == name
        ]

    def events(self, host: str) -> list[str]:
        return [effect.name for effect in self.hosts[host].of(EventArrived)]


def formed(count: int, seed: int, settings: Settings = LAN, **more: Any) -> Pool:
    """A pool in which everybody knows everybody, and nothing is left to be said.

    Put together by one huge packet for each, not by joins: that is what makes a pool of 1,000
    affordable.
    """
    pool = Pool(seed, settings, keep_log=False, **more)
    hosts = [pool.start(f"s{number}") for number in range(count)]
    alive = tuple(Alive(1, h.name, h.address, h.node.meta, h.node.versions) for h in hosts)
    for host in hosts:
        host.node.step(PacketReceived(host.address, alive), 0.0)
        for queue in host.node.queues:
            queue.clear()
        pool._rest(host)
    return pool
