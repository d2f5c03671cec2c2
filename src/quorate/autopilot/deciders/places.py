"""Where servers are: a place counts for an ID only after a server with that ID has answered there.

Servers that have traded places are written in one entry: one after the other each would be at an
address that the configuration gives to another one. An address is never moved while the old one
still answers as that ID: then there are two bodies of one server, as of a copied data folder, and
the newcomer stays out (which of them holds what was acknowledged, nobody can tell from outside).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from quorate.autopilot.facts import ALIVE, Claim, Facts, Heard
from quorate.autopilot.memory import lately
from quorate.raft.values.configuration import Server

ADVICE_S: Final = 10.0
"""So long a member must have been silent before people are told that it may be removed."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The knowledge of a place that a server claims.

    `ask` are addresses to ask first. `why` is why the server is not taken there. `moves` are
    members (ID, address) that have to move in the same entry; `replaced` is the ID of a member in
    whose place the newcomer is, and which is nowhere else.
    """

    ask: tuple[str, ...] = ()
    why: str = ""
    moves: tuple[tuple[str, str], ...] = ()
    replaced: str = ""


def find_place(facts: Facts, joiner: Claim, heard: Mapping[str, Heard]) -> Found:
    """May `joiner` be written into the configuration at its address, and what goes with it?"""
    known = facts.configuration.get(joiner.id)
    old = known.address if known is not None else ""
    ask = [] if joiner.id == facts.me.id else [joiner.address]
    missing = tuple(a for a in (*ask, old) if a and lately(heard, a, facts.now) is None)
    if missing:
        return Found(ask=missing)
    if ask and (why := _not_there(facts, joiner, heard)):
        return Found(why=why)
    if old and (why := _is_still_at(facts, joiner, old, heard)):
        return Found(why=why)
    return _make_room(facts, joiner, heard, is_member=known is not None)


def _not_there(facts: Facts, claim: Claim, heard: Mapping[str, Heard]) -> str:
    """Why that address does not count for that ID, or empty."""
    found = lately(heard, claim.address, facts.now)
    there = found.claim if found is not None else None
    if there is None:
        return f"nothing answers at {claim.address}"
    if there.id != claim.id:
        return f"another server ({there.name}, {there.id}) answers at {claim.address}"
    return there.objection


def _is_still_at(facts: Facts, claim: Claim, old: str, heard: Mapping[str, Heard]) -> str:
    """Why the server may not move from its old address, or empty."""
    found = lately(heard, old, facts.now)
    there = found.claim if found is not None else None
    if there is None or there.id != claim.id:
        return ""
    here = lately(heard, claim.address, facts.now)
    body = here.claim if here is not None and here.claim is not None else claim
    # One process may listen at both places, when only what it tells of itself has changed.
    return (
        ""
        if there.is_body_of(body)
        else two_bodies(claim.id, there.name, there.address, body.name, body.address)
    )


def two_bodies(server_id: str, name: str, address: str, other: str, elsewhere: str) -> str:
    """That two servers use one ID, and what to do."""
    return (
        f"two servers run with the ID {server_id}: {name} at {address} and {other} at {elsewhere}, "
        "as after copying a data folder; stop one of them, and start it again with an empty "
        "data_dir"
    )


def _make_room(
    facts: Facts, joiner: Claim, heard: Mapping[str, Heard], *, is_member: bool
) -> Found:
    """Follow the members that have to give up an address, each to where it lives now."""
    live = {claim.id: claim for claim in facts.pool if claim.status == ALIVE}
    moves: dict[str, str] = {}
    place = joiner.address
    while (holder := facts.configuration.by_address(place)) is not None:
        if holder.id == joiner.id or holder.id in moves:
            break
        claim = live.get(holder.id)
        if claim is None or claim.address == place:
            if is_member or moves:
                return Found(why=_held(facts, holder.id, place, claim))
            return _replace(facts, holder)
        if holder.id != facts.me.id:
            if lately(heard, claim.address, facts.now) is None:
                return Found(ask=(claim.address,))
            if why := _not_there(facts, claim, heard):
                return Found(why=why)
        moves[holder.id] = place = claim.address
    return Found(moves=tuple(moves.items()))


def _replace(facts: Facts, holder: Server) -> Found:
    """A newcomer answers at the address of a member that lives nowhere: that one is gone."""
    if holder.id == facts.me.id:
        return Found(why=f"{holder.address} is the leader's own address")
    if facts.answers_raft(holder.id, facts.election_timeout_s):
        return Found(why=f"{holder.id}, whose address is {holder.address}, answered a moment ago")
    return Found(replaced=holder.id)


def _held(facts: Facts, holder: str, place: str, claim: Claim | None) -> str:
    """Advice to remove a member names none that may live: one that moves is seen late."""
    text = f"{place} is still the address of {holder}, which has not been seen anywhere else"
    if claim is not None or facts.answers_raft(holder, ADVICE_S):
        return text
    return f"{text}; if it is gone: quorate operator raft remove-peer -peer-id={holder}"
