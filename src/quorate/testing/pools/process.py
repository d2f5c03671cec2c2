"""One process of a simulated server, as the pool and the rules see it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from quorate.autopilot.facts import Claim
from quorate.autopilot.memory import Memory
from quorate.server.cluster.directory import Directory
from quorate.server.leader.facts import claim_of
from quorate.testing.pools.gossip import GossipMember
from quorate.testing.sim.machines.hosts import Host


def address_of(place: int) -> str:
    """The RPC address of a place."""
    return f"10.0.0.{place}:4647"


@dataclass(eq=False)
class Process:
    """One process of a server.

    A copy has the ID of another server. It runs a replica on a copy of that one's disk (its host is
    a second body), or only talks (it has no host).
    """

    id: str
    name: str
    place: int
    host: Host | None
    since: float
    directory: Directory
    member: GossipMember | None = None
    up: bool = True
    answers_as: str = ""  # the ID it tells when it is asked, if that is not `id`
    leaving: bool = False
    introduced: bool = False
    memory: Memory = field(default_factory=Memory)
    busy: bool = False  # with a leader's round
    removing: set[str] = field(default_factory=set)  # by operators, through this leader
    incarnation: int = 0

    @property
    def key(self) -> str:
        """The process in the network."""
        return self.host.name if self.host is not None else f"{self.name}*"

    @property
    def is_copy(self) -> bool:
        """True for what runs beside the server, or in place of it, under its ID."""
        return self.host is None or bool(self.host.of) or self.host.disk.newer is not None

    @property
    def real_id(self) -> str:
        """The ID that it gives when it is asked itself."""
        return self.answers_as or self.id

    def claim(self) -> Claim:
        """The same, whole."""
        return claim_of(msgspec.structs.replace(self.directory.me, id=self.real_id))

    @property
    def address(self) -> str:
        """Of its RPC port."""
        return address_of(self.place)
