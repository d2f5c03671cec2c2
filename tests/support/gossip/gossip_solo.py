"""One member under a magnifying glass: what it sends and reports for each event."""

from __future__ import annotations

from random import Random
from typing import Any

from gossip_codec import PlainCodec

from quorate.gossip import LAN, Node, Settings
from quorate.gossip.effects import (
    Effect,
    MemberChanged,
    Refused,
    SendPacket,
    StreamReply,
    StreamRequest,
)
from quorate.gossip.events import Event, PacketReceived, StreamAnswered, StreamReceived, Tick
from quorate.gossip.messages import (
    Address,
    Alive,
    Message,
    PushPull,
    SerfMessage,
    User,
    Versions,
)

CODEC = PlainCodec()
VERSIONS = Versions()
TAGS = CODEC.encode_tags({"role": "server"})


def address(number: int) -> Address:
    return Address(f"10.0.0.{number}", 4648)


def alive(name: str, incarnation: int = 1, **more: Any) -> Alive:
    """What member "p7" says of itself: it lives at address 7."""
    where = more.pop("address", None) or address(int(name.strip("p") or 1))
    return Alive(
        incarnation, name, where, more.pop("meta", TAGS), more.pop("versions", VERSIONS), **more
    )


class Solo:
    """A member `p1` at address 1, with so many peers `p2`, `p3`..., alive with incarnation 1."""

    def __init__(self, peers: int = 0, settings: Settings = LAN, **more: Any) -> None:
        self.now = 100.0
        self.node = Node(
            name="p1",
            address=address(1),
            tags={"role": "server"},
            settings=settings,
            codec=CODEC,
            rng=Random(more.pop("seed", 1)),
            now=self.now,
            **more,
        )
        self.effects: list[Effect] = []
        self.step(Tick())
        for number in range(2, peers + 2):
            self.tell(alive(f"p{number}"))
        self.quiet()

    def step(self, event: Event) -> list[Effect]:
        effects = self.node.step(event, self.now)
        self.effects += effects
        return effects

    def tell(self, *messages: Message, source: int = 99) -> list[Effect]:
        """A packet from a member."""
        return self.step(PacketReceived(address(source), messages))

    def tell_serf(self, message: SerfMessage, source: int = 99) -> list[Effect]:
        return self.tell(User(CODEC.encode_serf(message)), source=source)

    def pull(self, state: PushPull, source: int = 99) -> list[Effect]:
        """A full exchange that somebody else begins."""
        return self.step(StreamReceived("stream", address(source), state))

    def answer(self, request: StreamRequest, message: Message) -> list[Effect]:
        return self.step(StreamAnswered(request.handle, message))

    def wait(self, seconds: float) -> list[Effect]:
        """So much time, tick by tick; everything that was done meanwhile."""
        done: list[Effect] = []
        end = self.now + seconds
        while self.node.deadline() <= end:
            self.now = max(self.now, self.node.deadline())
            done += self.step(Tick())
        self.now = end
        return done

    def quiet(self) -> None:
        """Nothing is left to be told, and what was done so far is forgotten."""
        for queue in self.node.queues:
            queue.clear()
        self.effects.clear()

    def news(self) -> list[Message]:
        """What it wants everybody to know, memberlist's and Serf's."""
        parts: list[bytes] = []
        for queue in self.node.queues:
            queue.fill(parts, 1 << 20, 0, 1 << 20, 1 << 20)
        return [CODEC.decode(part) for part in parts]

    def state(self, name: str) -> str:
        record = self.node.table.get(name)
        return record.state.name if record else ""

    def incarnation(self, name: str) -> int:
        return self.node.table.records[name].incarnation

    def status(self, name: str) -> str:
        known = self.node.roster.get(name)
        return known.status.name if known else ""


def sent(effects: list[Effect], to: int | None = None) -> list[Message]:
    """The messages in packets, all or those to one address."""
    return [
        CODEC.decode(part)
        for effect in effects
        if isinstance(effect, SendPacket) and to in {None, int(effect.to.host.split(".")[-1])}
        for part in effect.parts
    ]


def sent_serf(effects: list[Effect], to: int | None = None) -> list[SerfMessage]:
    return [CODEC.decode_serf(m.payload) for m in sent(effects, to) if isinstance(m, User)]


def serf_news(solo: Solo) -> list[SerfMessage]:
    return [CODEC.decode_serf(m.payload) for m in solo.news() if isinstance(m, User)]


def of(effects: list[Effect], kind: type) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def changes(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(c.member.name, c.change.name) for c in of(effects, MemberChanged)]


def refusals(effects: list[Effect]) -> list[str]:
    return [r.reason.name for r in of(effects, Refused)]


def reply(effects: list[Effect]) -> Any:
    return of(effects, StreamReply)[0].message
