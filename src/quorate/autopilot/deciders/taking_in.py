"""Taking servers in, first as non-voters (thesis 4.2.1); noting that a member has moved.

The joiner is asked at its address before anything is written. No server is taken in that could
belong to another cluster, that is on its way out, or that an operator has removed, until it asks to
rejoin.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quorate.autopilot.actions import (
    Action,
    AddNonvoter,
    Ask,
    MoveAddress,
    RecordServer,
    Remove,
    Why,
)
from quorate.autopilot.deciders.level import below_level
from quorate.autopilot.deciders.places import Found, find_place
from quorate.autopilot.facts import ALIVE, Claim, Facts, Heard
from quorate.autopilot.validity import objection_to
from quorate.raft.values.configuration import Server


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The next step to take a server in.

    Without `action` it is over: the server is a member, or `why` says why not (`removed_at`: the
    index at which an operator removed it, if that is the reason).
    """

    action: Action | None = None
    why: str = ""
    removed_at: int = 0


def take_in(
    facts: Facts, joiner: Claim, heard: Mapping[str, Heard], *, forgive: bool = False
) -> Verdict:
    """Make `joiner` a member at its address; `forgive` also one that was removed."""
    refused = _refusal(facts, joiner, forgive=forgive)
    if refused is not None:
        return refused
    known = facts.configuration.get(joiner.id)
    if known is not None and known.address == joiner.address:
        return Verdict(action=record(facts, joiner))
    found = find_place(facts, joiner, heard)
    if found.ask:
        return Verdict(action=Ask(found.ask))
    if found.why:
        return Verdict(why=found.why)
    return Verdict(action=_change(facts, joiner, found, known))


def _change(facts: Facts, joiner: Claim, found: Found, known: Server | None) -> Action:
    index = facts.configuration_index
    if found.replaced:
        return Remove(
            id=found.replaced,
            name=facts.name_of(found.replaced),
            address=joiner.address,
            why=Why.REPLACED,
            prev_index=index,
        )
    if known is None:
        return AddNonvoter(server=joiner, prev_index=index, moves=found.moves)
    return MoveAddress(server=joiner, was=known.address, prev_index=index, moves=found.moves)


def record(facts: Facts, server: Claim) -> RecordServer | None:
    """The action that puts name and address of a member on record; None if they are."""
    known = facts.records.get(server.id)
    now = (server.name, server.address, False)
    if known is not None and (known.name, known.address, known.removed) == now:
        return None
    return RecordServer(id=server.id, name=server.name, address=server.address)


def _refusal(facts: Facts, joiner: Claim, *, forgive: bool) -> Verdict | None:
    """Why this server is not taken in whatever its place, or None."""
    if why := _not_ours(facts, joiner):
        return Verdict(why=why)
    if facts.configuration.get(joiner.id) is not None:
        return None
    removed_at = facts.removed_at(joiner.id)
    if removed_at and not forgive:
        why = (
            f"it was removed from the cluster at index {removed_at}; `quorate server rejoin` on "
            "that server brings it back"
        )
        return Verdict(why=why, removed_at=removed_at)
    strangers = [c.name for c in facts.pool if c.status == ALIVE and facts.is_stranger(c)]
    if not joiner.cluster_id and strangers:
        why = (
            f"there are servers of another cluster in this pool ({', '.join(strangers)}), and it "
            "does not say to which it belongs; let them leave the pool first"
        )
        return Verdict(why=why)
    return None


def _not_ours(facts: Facts, joiner: Claim) -> str:
    """Why this can be no server of our cluster, or empty."""
    me = facts.me
    if joiner.region != me.region:
        return f"{joiner.name[:128]} is of region {joiner.region[:128]!r}, this is {me.region!r}"
    if joiner.leaving:
        return "it is leaving"
    if why := below_level(joiner, facts.level):
        return why
    if facts.is_stranger(joiner):
        theirs = joiner.cluster_id[:128]
        return f"the data of {joiner.name} belongs to cluster {theirs}, not {me.cluster_id}"
    return objection_to(joiner.id, joiner.name, joiner.address)
