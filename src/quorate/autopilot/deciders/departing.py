"""Letting a server go that is said to have left: it is asked first whether it really goes.

Gossip's word is not enough. One forged packet can say that another server has left, and of three
voters two would be gone that way. A server that answers as that ID and does not say that it leaves
stays; so does one that is silent, but still answers this leader's own requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from quorate.autopilot.actions import Ask, Remove, Why
from quorate.autopilot.deciders.taking_in import Verdict
from quorate.autopilot.facts import Claim, Facts, Heard
from quorate.autopilot.memory import lately
from quorate.raft.values.configuration import Server

LAST_VOTER: Final = "it is the last voter: the cluster would have no configuration any more"

_SILENT_TIMEOUTS: Final = 4
"""Election timeouts without an answer, after which a server that is said to have left has left."""


def let_go(
    facts: Facts, server_id: str, heard: Mapping[str, Heard], *, asked_for: bool = False
) -> Verdict:
    """Remove a member that has left; `asked_for`: it asks itself, so it has to be there."""
    member = facts.configuration.get(server_id)
    if member is None:
        return Verdict()
    if [voter.id for voter in facts.configuration.voters()] == [server_id]:
        return Verdict(why=LAST_VOTER)
    if server_id != facts.me.id:
        found = lately(heard, member.address, facts.now)
        if found is None:
            return Verdict(action=Ask((member.address,)))
        if why := _stays(facts, member, found.claim, asked_for=asked_for):
            return Verdict(why=why)
    return Verdict(
        action=Remove(
            id=server_id,
            name=facts.name_of(server_id),
            address=member.address,
            why=Why.LEFT,
            prev_index=facts.configuration_index,
        )
    )


def _stays(facts: Facts, member: Server, there: Claim | None, *, asked_for: bool) -> str:
    """Why a member has not left, by what answers at its address (None: nothing); or empty."""
    if there is not None and there.id == member.id:
        said = f"{there.name} answers at {member.address} and does not say that it leaves"
        return "" if there.leaving else said
    if asked_for:
        return f"it does not answer at {member.address}"
    if facts.answers_raft(member.id, _SILENT_TIMEOUTS * facts.election_timeout_s):
        return "it has answered this leader's requests a moment ago"
    return ""
