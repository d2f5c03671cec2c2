"""Making way: a leader that can take no write hands over to a voter that may be better off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from quorate.autopilot.actions import MakeWay
from quorate.autopilot.facts import Facts

ASK_AGAIN_S: Final = 10.0
"""The others were asked to lead and did not: they may be no better off."""


def make_way(
    facts: Facts, asked_to_lead: Mapping[str, float]
) -> tuple[MakeWay | None, Mapping[str, float]]:
    """The voter that should lead instead, if any can; and when each was asked to."""
    asked = {i: at for i, at in asked_to_lead.items() if facts.now - at < ASK_AGAIN_S}
    able = [
        (peer.match_index, server_id)
        for server_id, peer in facts.peers.items()
        if facts.configuration.is_voter(server_id)
        and server_id not in facts.unfit
        and server_id not in asked
        and facts.now - peer.contact_at < facts.election_timeout_s
    ]
    if not able:
        return None, asked
    _, target = max(able)
    server = facts.configuration.get(target)
    assert server is not None
    asked[target] = facts.now
    return MakeWay(target=target, address=server.address, why=facts.trouble), asked
