"""Members of a gossip pool on virtual time: real nodes on the driver, over a simulated network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from quorate.gossip.effects import (
    ConflictFound,
    EventArrived,
    HeardByStreamOnly,
    JoinDone,
    KeyChangeAsked,
    LeaveDone,
    MemberChanged,
    NameLost,
    QueryAcked,
    QueryAnswered,
    QueryArrived,
    QueryDone,
    Refused,
    SendPacket,
    StreamReply,
    StreamRequest,
)
from quorate.gossip.events import (
    JoinRequested,
    LeaveRequested,
    PacketReceived,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
    Tick,
)
from quorate.gossip.messages import Address, Message
from quorate.gossip.node import Node
from quorate.gossip.settings import Settings
from quorate.runtime.driver import Clock, Driver
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.verdicts.violations import ViolationError
from quorate.testing.sim.world import World
from quorate.wire import gossip
from quorate.wire.memberlist.messages import decode_in_packet

SETTINGS = Settings(
    resolve_conflicts=False,
    push_pull_interval_s=5.0,
    probe_interval_s=0.3,
    probe_timeout_s=0.1,
    gossip_interval_s=0.1,
    stream_timeout_s=1.0,
    reconnect_interval_s=2.0,
    leave_propagate_delay_s=0.3,
    broadcast_timeout_s=1.0,
    coordinates=False,
)
_DELAY_S = 0.001


class Net:
    """The network of all members' packets and streams. `cut` says if two are parted."""

    def __init__(self, world: World, cut: Callable[[str, str], bool]) -> None:
        self.world = world
        self.cut = cut
        self.rng = Random(f"gossip {world.seed}")
        self.at: dict[Address, GossipMember] = {}

    def reach(self, origin: GossipMember, to: Address) -> GossipMember | None:
        """The member there, if packets get to it."""
        target = self.at.get(to)
        return None if target is None or self.cut(origin.key, target.key) else target

    def later(self, action: Callable[[], None]) -> None:
        """After the time that a message travels."""
        self.world.later(_DELAY_S * (1 + self.rng.random()), action)

    def forge(self, about: GossipMember, *messages: Message) -> None:
        """A packet from nowhere comes to all members but the one it is about."""
        for member in list(self.at.values()):
            if member is not about:
                member.step(PacketReceived(Address("10.9.9.9", 4648), messages))


class GossipMember:
    """One process's membership. `key` names the process for the network; `hear` gets the news.

    It stands still when the machine does; without a `host` it never does.
    """

    def __init__(
        self,
        net: Net,
        key: str,
        host: Host | None,
        clock: Clock,
        *,
        name: str,
        address: Address,
        tags: Mapping[str, str],
        hear: Callable[[MemberChanged], object],
    ) -> None:
        self.net = net
        self.key = key
        self.host = host
        self.up = True
        self.has_left: Callable[[], None] | None = None
        self.node = Node(
            name=name,
            address=address,
            tags=tags,
            settings=SETTINGS,
            codec=gossip,
            rng=Random(net.rng.random()),
            now=clock.now(),
        )
        net.at[address] = self
        self._driver = Driver(
            self.node,
            clock,
            {
                **dict.fromkeys((ConflictFound, EventArrived, JoinDone, NameLost), _ignore),
                HeardByStreamOnly: _ignore,
                **dict.fromkeys((KeyChangeAsked, QueryAcked, QueryAnswered), _ignore),
                **dict.fromkeys((QueryArrived, QueryDone, Refused), _ignore),
                MemberChanged: hear,
                SendPacket: self._send,
                StreamRequest: self._request,
                StreamReply: self._reply,
                LeaveDone: self._left,
            },
            tick=Tick,
            on_failure=_fail,
            refusals=(ValueError,),
        )
        self.step(Tick())

    def step(self, event: Any) -> None:
        """Give the member an event, if it runs; when its machine goes on, if that stands still."""
        wait = 0.0 if self.host is None else self.host.paused_until - self.net.world.now
        if self.up and wait > 0:
            self.net.world.later(wait, lambda: self.step(event))
        elif self.up:
            self._driver.step(event)

    def stop(self) -> None:
        """The process ends; the others will see it fail."""
        self.up = False
        self._driver.end()
        if self.net.at.get(self.node.address) is self:
            del self.net.at[self.node.address]

    def join(self, *addresses: Address) -> None:
        """Join the pool through these."""
        targets = tuple((address, "") for address in addresses if address != self.node.address)
        if targets:
            self.step(JoinRequested("join", targets))

    def leave(self, done: Callable[[], None]) -> None:
        """Leave the pool for good."""
        self.has_left = done
        self.step(LeaveRequested("leave"))

    def _left(self, _: LeaveDone) -> None:
        if self.has_left is not None:
            self.has_left()

    def _send(self, packet: SendPacket) -> None:
        target = self.net.reach(self, packet.to)
        if target is not None:
            messages = tuple(map(decode_in_packet, packet.parts))
            source = self.node.address
            self.net.later(lambda: target.step(PacketReceived(source, messages)))

    def _request(self, request: StreamRequest) -> None:
        net, handle = self.net, request.handle
        target = net.reach(self, request.to)
        if target is None:
            net.later(lambda: self.step(StreamFailed(handle, "connection refused")))
            return

        def answer(message: Message | None) -> None:
            if message is None:
                self.step(StreamFailed(handle, "closed without an answer"))
            else:
                self.step(StreamAnswered(handle, message))

        received = StreamReceived(answer, self.node.address, request.message)
        net.later(lambda: target.step(received))
        net.world.later(request.timeout_s, lambda: self.step(StreamFailed(handle, "timed out")))

    def _reply(self, reply: StreamReply) -> None:
        self.net.later(lambda: reply.handle(reply.message))


def _ignore(_: Any) -> None:
    """What nothing here waits for."""


def _fail(error: BaseException) -> None:
    raise ViolationError(f"gossip failed: {error!r}") from error
