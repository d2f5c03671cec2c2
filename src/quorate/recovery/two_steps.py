"""The rules by which survivors that run carry out one plan, or none.

The survivor that the plan lets lead decides: it begins when every other one is prepared, and the
others follow it. Two plans cannot both begin on a server, because it is prepared for one at a time.

Invariant: once the first one has begun, no other survivor of the plan goes on in the old epoch. One
that gives up has heard before that the first one is not prepared; and if the first one has asked it
since that was asked, it does not give up, because the first one may rely on the answer.

Pure: the simulator runs these rules too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from quorate.raft.values.identity import Epoch
from quorate.recovery.plan import Plan, Survivor


class Lead(NamedTuple):
    """The survivor that decides, as it says itself now. `prepared` is the digest of a plan."""

    epoch: Epoch
    prepared: str


def lead_of(plan: Plan) -> Survivor:
    """The survivor that decides."""
    return next(each for each in plan.survivors if each.server_id == plan.leads)


def unprepared(plan: Plan, told: Mapping[str, str]) -> list[Survivor]:
    """The survivors for which the first one has to wait. `told`: digests by ID, as they say now."""
    return [
        each
        for each in plan.survivors
        if each.server_id != plan.leads and told.get(each.server_id) != plan.digest
    ]


class Known(NamedTuple):
    """The log of a server, as it says itself now. `last_term` is 0 if it does not say that."""

    last_term: int
    last_index: int
    committed: int


def knows_more(plan: Plan, known: Known) -> bool:
    """True if a server that is left out has entries that no survivor of the plan has.

    They may have been acknowledged: with it among the survivors they are not lost.
    """
    best = lead_of(plan)
    if known.committed > best.last_index or not known.last_term:
        return known.last_index > best.last_index
    return (known.last_term, known.last_index) > (best.last_term, best.last_index)


def has_begun(plan: Plan, lead: Lead | None) -> bool:
    """True if the first one has carried the plan out; `lead` is None if it does not answer."""
    return lead is not None and lead.epoch == plan.epochs[1]


def why_not_given_up(plan: Plan, lead: Lead | None, *, asked_since: bool) -> str:
    """Empty, or why a survivor that does not decide stays prepared.

    `asked_since`: it was asked itself whether it is prepared, after it had asked the first one.
    """
    first = lead_of(plan)
    where = f"{first.server_id} at {first.address}, which decides,"
    if lead is None:
        return f"{where} does not answer"
    if has_begun(plan, lead):
        return f"{where} has carried the plan out"
    if lead.prepared == plan.digest:
        return f"{where} is prepared"
    if asked_since:
        return f"{where} may have been prepared meanwhile"
    return ""
