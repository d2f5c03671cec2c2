"""The health of the cluster as its leader knows it: asked for, and kept up with in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from quorate.autopilot.facts import Facts
from quorate.autopilot.health import Health, Standing, health
from quorate.autopilot.rounds import Look
from quorate.errors import NotLeader, NotWritten
from quorate.raft.node import Node
from quorate.shapes.agent import COMPATIBLE_BUILD
from quorate.shapes.operator import OperatorHealth, ServerHealth
from quorate.wire.go.duration import format_duration

_NO_TIME: Final = "0001-01-01T00:00:00Z"


class HealthWatch:
    """See the module. `unix_time` turns a time of the facts into Unix seconds.

    `refresh` is called several times a second, so that it is known since when a server is healthy.
    """

    def __init__(self, look: Look, node: Node, unix_time: Callable[[float], float]) -> None:
        self._look = look
        self._node = node
        self._unix_time = unix_time
        self._stable_since: Mapping[str, float] = {}
        self.warnings: Callable[[], tuple[str, ...]] = tuple
        """What members say that will become a problem, each with its address."""

    def refresh(self) -> None:
        """See who is healthy now; a server that does not lead forgets what it knew."""
        facts = self._look()
        if facts is None:
            self._stable_since = {}
        elif facts.rules is not None:
            self._seen(facts)

    def health(self) -> OperatorHealth:
        """The health of this moment. Raises NotLeader; NotWritten before its first settings."""
        facts = self._look()
        if facts is None:
            raise NotLeader(leader_address=self._node.leader_address)
        found = self._seen(facts)
        return OperatorHealth(
            failure_tolerance=found.tolerance,
            healthy=found.healthy,
            leader=facts.me.id,
            servers=tuple(map(self._shown, found.servers)),
            voters=tuple(each.id for each in found.servers if each.voter),
            warnings=self.warnings(),
        )

    def _seen(self, facts: Facts) -> Health:
        if facts.rules is None:
            raise NotWritten("autopilot config not initialized yet")
        log = self._node.log
        terms = {each: log.term(peer.match_index) or 0 for each, peer in facts.peers.items()}
        terms[facts.me.id] = log.last_term
        found = health(facts, facts.rules, terms, self._stable_since)
        self._stable_since = found.stable_since()
        return found

    def _shown(self, server: Standing) -> ServerHealth:
        since = server.stable_since
        stable = _NO_TIME
        if since is not None:
            stable = f"{datetime.fromtimestamp(self._unix_time(since), UTC):%Y-%m-%dT%H:%M:%SZ}"
        return ServerHealth(
            last_contact=format_duration(round(server.contact_s * 1e9)),
            id=server.id,
            name=server.name,
            address=server.address,
            serf_status=server.status,
            version=COMPATIBLE_BUILD,
            leader=server.leader,
            last_term=server.last_term,
            last_index=server.last_index,
            healthy=server.healthy,
            voter=server.voter,
            stable_since=stable,
        )
