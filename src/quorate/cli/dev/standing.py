"""How far a dev cluster has come: who answers, who leads, whose vote counts.

Each server is asked about itself (a stale read), so "ready" means that every one of them knows
the leader: whichever is asked next will answer.
"""

from __future__ import annotations

from typing import NamedTuple

from quorate.cli.dev.plan import ServerPlan
from quorate.client import Client, ClientError, RaftConfiguration

ASK_TIMEOUT_S = 2.0


class Standing(NamedTuple):
    """What the servers said: None for one that did not answer."""

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


def look(servers: tuple[ServerPlan, ...]) -> Standing:
    """Ask every server."""
    return Standing(tuple(map(_ask, servers)))


def _ask(server: ServerPlan) -> RaftConfiguration | None:
    try:
        with Client(server.http_address, timeout_s=ASK_TIMEOUT_S) as client:
            return client.raft_configuration(stale=True)
    except ClientError:
        return None
