"""How far a dev cluster has come: who answers, who leads, whose vote counts.

Each server is asked about itself (a stale read), so "ready" means that every one of them knows
the leader: whichever is asked next will answer. Several regions are ready when each is, and every
server knows of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from quorate.cli.dev.plan import ServerPlan, by_region
from quorate.client import Client, ClientError, RaftConfiguration

ASK_TIMEOUT_S = 2.0


class Standing(NamedTuple):
    """The servers' answers: None for one that did not answer."""

    answers: tuple[RaftConfiguration | None, ...]

    @property
    def up(self) -> int:
        """How many answer."""
        return sum(answer is not None for answer in self.answers)

    @property
    def newest(self) -> RaftConfiguration | None:
        """The answer with the highest index among those that know a leader, or None."""
        led = [a for a in self.answers if a is not None and any(s.leader for s in a.servers)]
        return max(led, key=lambda answer: answer.index, default=None)

    def is_ready(self) -> bool:
        """True if all answer, agree on one leader, and are voters."""
        leaders = set()
        for answer in self.answers:
            if answer is None or len(answer.servers) != len(self.answers):
                return False
            if not all(server.voter for server in answer.servers):
                return False
            leaders.add(tuple(s.address for s in answer.servers if s.leader))
        return len(leaders) == 1 and len(leaders.pop()) == 1

    def progress(self) -> str:
        """One line about what is still missing."""
        total = len(self.answers)
        if self.up < total:
            return f"{self.up} of {total} servers answer"
        if self.newest is None:
            return f"{total} of {total} servers answer, no leader yet"
        voters = sum(server.voter for server in self.newest.servers)
        return f"there is a leader, {voters} of {total} are voters"


class Standings(NamedTuple):
    """How far each region has come; `federated` says that each server knows all regions."""

    regions: dict[str, Standing]
    federated: bool = True

    def is_ready(self) -> bool:
        """True if every region is, and they know each other."""
        return self.federated and all(each.is_ready() for each in self.regions.values())

    def are_led(self) -> bool:
        """True if every region has a leader."""
        return all(each.newest is not None for each in self.regions.values())

    def progress(self) -> str:
        """One line about what is still missing."""
        if len(self.regions) == 1:
            return next(iter(self.regions.values())).progress()
        missing = [name for name, each in self.regions.items() if not each.is_ready()]
        if not missing:
            return "all regions are ready" + ("" if self.federated else ", not all federated yet")
        ready = len(self.regions) - len(missing)
        first = f"{missing[0]}: {self.regions[missing[0]].progress()}"
        return f"{ready} of {len(self.regions)} regions are ready; {first}"


def look(servers: Sequence[ServerPlan]) -> Standings:
    """Ask every server."""
    regions = by_region(servers)
    standings = Standings(
        {name: Standing(tuple(map(_ask, theirs))) for name, theirs in regions.items()}
    )
    if len(regions) == 1 or not standings.is_ready():
        return standings
    return standings._replace(federated=all(_knows(each, set(regions)) for each in servers))


def _knows(server: ServerPlan, regions: set[str]) -> bool:
    try:
        with Client(server.asked_at, timeout_s=ASK_TIMEOUT_S) as client:
            return regions <= set(client.regions())
    except ClientError:
        return False


def _ask(server: ServerPlan) -> RaftConfiguration | None:
    try:
        with Client(server.asked_at, timeout_s=ASK_TIMEOUT_S) as client:
            return client.raft_configuration(stale=True)
    except ClientError:
        return None
