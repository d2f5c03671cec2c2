"""Keeping the Raft configuration true to the pool.

A member that has left is let go; a server that lives and is no member, or has another address, is
taken in; one that has failed stays until an operator removes it
(docs/divergence.md#the-servers-compared-with-nomad). What an operator has removed is not brought
back by gossip. Of two servers that use one ID neither counts as moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from quorate.autopilot.actions import Action, Ask, Say
from quorate.autopilot.deciders.departing import let_go
from quorate.autopilot.deciders.places import two_bodies
from quorate.autopilot.deciders.taking_in import Verdict, record, take_in
from quorate.autopilot.facts import ALIVE, LEFT, Claim, Facts
from quorate.autopilot.memory import PAUSE_S, Memory

ASKS_MAX: Final = 16
"""Addresses that are asked at once, those first that have waited longest: a pool has many names."""


class Plan(msgspec.Struct, frozen=True):
    """The actions to take, most urgent first, and what is remembered."""

    actions: tuple[Action, ...]
    memory: Memory


def reconcile(facts: Facts, memory: Memory) -> Plan:
    """Compare pool and configuration. Only servers of our own region count."""
    asks: list[str] = []
    actions: list[Action] = list(_rivals(facts))
    for claim in facts.pool:
        if claim.region != facts.me.region:
            continue
        if facts.is_stranger(claim):
            actions.append(_stranger(facts, claim))
            continue
        if why := memory.holds_off(claim, facts.now, facts.configuration_index):
            actions.append(_stays(facts, claim, why))
            continue
        verdict = _verdict(facts, claim, memory)
        if verdict.why:
            memory = memory.put(claim, verdict.why, facts.now + PAUSE_S, facts.configuration_index)
            actions.append(_stays(facts, claim, verdict.why))
        elif isinstance(verdict.action, Ask):
            asks += verdict.action.addresses
        elif verdict.action is not None:
            actions.append(verdict.action)
    if asks:
        heard = memory.heard
        waited = sorted(dict.fromkeys(asks), key=lambda a: heard[a].at if a in heard else -1.0)
        actions.insert(0, Ask(tuple(waited[:ASKS_MAX])))
    return Plan(tuple(actions), memory)


def _verdict(facts: Facts, claim: Claim, memory: Memory) -> Verdict:
    """What one claim of the pool comes to."""
    member = facts.configuration.get(claim.id)
    if claim.status == LEFT and member is not None and claim.id != facts.me.id:
        return let_go(facts, claim.id, memory.heard)
    if claim.status != ALIVE or (claim.leaving and member is None):
        return Verdict()
    removed = facts.removed_at(claim.id)
    if member is not None and member.address == claim.address:
        return Verdict() if removed else Verdict(action=record(facts, claim))
    return Verdict() if removed else take_in(facts, _as_asked(claim, memory), memory.heard)


def _as_asked(claim: Claim, memory: Memory) -> Claim:
    """What the server itself says of itself counts for more than what the pool says of it."""
    found = memory.heard.get(claim.address)
    there = found.claim if found is not None else None
    return there if there is not None and there.id == claim.id else claim


def _rivals(facts: Facts) -> Iterator[Say]:
    first = {claim.id: claim for claim in facts.pool}
    for rival in facts.rivals:
        known = first.get(rival.id)
        if known is not None and rival.region == facts.me.region:
            names = (known.name, known.address, rival.name, rival.address)
            yield Say(rival.id, two_bodies(rival.id, *names))


def _stranger(facts: Facts, claim: Claim) -> Say:
    text = (
        f"{claim.name} is in this pool but belongs to another cluster, {claim.cluster_id}, not "
        f"{facts.me.cluster_id}: neither takes the other's servers in"
    )
    return Say(claim.id, text)


def _stays(facts: Facts, claim: Claim, why: str) -> Say:
    if claim.status == LEFT:
        return Say(claim.id, f"{claim.name} is said to have left but stays a member: {why}")
    member = facts.configuration.get(claim.id)
    what = "is not taken in" if member is None else f"is not moved from {member.address}"
    return Say(claim.id, f"{claim.name} at {claim.address} {what}: {why}")
