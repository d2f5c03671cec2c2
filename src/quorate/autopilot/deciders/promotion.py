"""Promotion: a newcomer gets its vote once it is reached, caught up and stable.

Autopilot's ServerStabilizationTime, MaxTrailingLogs and LastContactThreshold (thesis 4.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.autopilot.actions import Promote, Say
from quorate.autopilot.deciders.level import below_level
from quorate.autopilot.facts import Facts


def promote(
    facts: Facts, fit_since: Mapping[str, float]
) -> tuple[tuple[Promote | Say, ...], Mapping[str, float]]:
    """The non-voters that vote from now on; and since when each of them has been fit.

    One below the cluster's feature level gets no vote: it could not apply what the others agree on.
    Nor does one without the wrapping key of the root keys: it could not lead.
    """
    rules = facts.rules
    if rules is None:
        return (), {}
    claims = {claim.id: claim for claim in facts.pool}
    ready: list[Promote | Say] = []
    since: dict[str, float] = {}
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
            claim = claims.get(server.id)
            why = facts.no_vote.get(server.id, "")
            if claim is not None:
                why = below_level(claim, facts.level) or why
            if why:
                ready.append(Say(server.id, f"it gets no vote: {why}"))
                continue
            index = facts.configuration_index
            ready.append(Promote(id=server.id, address=server.address, prev_index=index))
    return tuple(ready), since
