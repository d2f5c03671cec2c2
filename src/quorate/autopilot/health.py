"""How the servers of the Raft configuration do, by the rules of autopilot.

See docs/http-api.md#autopilot-and-the-scheduler.

A server is healthy if the pool calls it alive, it has answered the leader within
LastContactThreshold, is in the leader's term, and at most MaxTrailingLogs entries behind. All must
be healthy for the cluster to be; it can lose as many voters as are healthy beyond a majority.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from quorate.autopilot.facts import ALIVE, Facts
from quorate.raft.values.configuration import Server
from quorate.state.tables.autopilot import AutopilotConfiguration

NEVER_S: Final = -1e-9
"""The contact of a server that never answered this leader, and of one that is not alive."""

_UNKNOWN: Final = "none"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One server.

    `contact_s`: seconds since its last answer; `stable_since`: of the facts' clock, None while it
    is not healthy; `status`: of the pool, "none" if that does not know it.
    """

    id: str
    name: str
    address: str
    status: str
    leader: bool
    voter: bool
    contact_s: float
    last_term: int
    last_index: int
    healthy: bool
    stable_since: float | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Of a cluster. `tolerance`: how many voters may fail now."""

    healthy: bool
    tolerance: int
    servers: tuple[Standing, ...]

    def stable_since(self) -> dict[str, float]:
        """Since when each healthy server has been so, by ID."""
        return {
            each.id: each.stable_since for each in self.servers if each.stable_since is not None
        }


def health(
    facts: Facts,
    rules: AutopilotConfiguration,
    terms: Mapping[str, int],
    stable_since: Mapping[str, float],
) -> Health:
    """The health at this moment. `terms`: of the last entry of each server, this one's included.

    `stable_since` is that of the health before.
    """
    standings = tuple(
        _standing(facts, rules, terms, server, stable_since)
        for server in facts.configuration.servers
    )
    voters = sum(each.voter for each in standings)
    healthy_voters = sum(each.voter and each.healthy for each in standings)
    return Health(
        healthy=all(each.healthy for each in standings),
        tolerance=max(0, healthy_voters - (voters // 2 + 1)),
        servers=standings,
    )


def _standing(
    facts: Facts,
    rules: AutopilotConfiguration,
    terms: Mapping[str, int],
    server: Server,
    stable_since: Mapping[str, float],
) -> Standing:
    leads = server.id == facts.me.id
    peer = facts.peers.get(server.id)
    claim = next((each for each in facts.pool if each.id == server.id), None)
    status = ALIVE if leads else claim.status if claim is not None else _UNKNOWN
    contact_s = 0.0 if leads else facts.now - peer.contact_at if peer is not None else NEVER_S
    if contact_s == float("inf") or status != ALIVE:
        contact_s = NEVER_S
    reached = contact_s != NEVER_S
    last_index = facts.last_index if leads else peer.match_index if peer and reached else 0
    last_term = terms.get(server.id, 0) if reached else 0
    is_healthy = (
        reached
        and contact_s <= rules.last_contact_threshold_ns / 1e9
        and last_term == terms.get(facts.me.id, 0)
        and last_index + rules.max_trailing_logs >= facts.last_index
        and server.id not in facts.unfit
    )
    return Standing(
        id=server.id,
        name=facts.name_of(server.id),
        address=server.address,
        status=status,
        leader=leads,
        voter=server.is_voter,
        contact_s=contact_s,
        last_term=last_term,
        last_index=last_index,
        healthy=is_healthy,
        stable_since=stable_since.get(server.id, facts.now) if is_healthy else None,
    )
