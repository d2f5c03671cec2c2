"""Promotion: a newcomer gets its vote once it is reached, caught up and stable.

Autopilot's ServerStabilizationTime, MaxTrailingLogs and LastContactThreshold (thesis 4.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.autopilot.actions import Promote
from quorate.autopilot.facts import Facts


def promote(
    facts: Facts, fit_since: Mapping[str, float]
) -> tuple[tuple[Promote, ...], Mapping[str, float]]:
    """The non-voters that vote from now on; and since when each of them has been fit."""
    rules = facts.rules
    if rules is None:
        return (), {}
    ready, since = [], {}
    for server in facts.configuration.servers:
        peer = facts.peers.get(server.id)
        if server.is_voter or peer is None:
            continue
        silent_s = facts.now - peer.contact_at
        behind = facts.last_index - peer.match_index
        if silent_s > rules.last_contact_threshold_ns / 1e9 or behind > rules.max_trailing_logs:
            continue
        since[server.id] = fit_since.get(server.id, facts.now)
        if facts.now - since[server.id] >= rules.server_stabilization_time_ns / 1e9:
            index = facts.configuration_index
            ready.append(Promote(id=server.id, address=server.address, prev_index=index))
    return tuple(ready), since
