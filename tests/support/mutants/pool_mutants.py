"""Deliberate bugs in what a leader decides: simulated pools must find them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from mutation import replaced

from quorate.autopilot import marks
from quorate.autopilot.deciders import departing, level, places, promotion, taking_in, telling
from quorate.raft.roles import membership
from quorate.server.cluster.directory import Directory


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; one of `seeds` finds it, by this rule."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: range
    found_as: str


MUTANTS = [
    Mutant(
        "moves an address while the old one answers",
        places._is_still_at,
        "there is None or there.id != claim.id",
        "True",
        range(32, 47),
        "and yet its address moved",
    ),
    Mutant(
        "removes without weighing which voters remain",
        membership.request,
        "force or not _takes_a_vote(node.configuration, configuration)",
        "True",
        range(27, 47),
        "not a majority",
    ),
    Mutant(
        "takes gossip's word that a server has left",
        departing._stays,
        'return "" if there.leaving else said',
        'return ""',
        range(17, 37),
        "and yet it was removed because it has left",
    ),
    Mutant(
        "believes what the pool says of an address",
        places._not_there,
        "there.id != claim.id",
        "False",
        range(6, 21),
        "which is not there",
    ),
    Mutant(
        "writes traded places one after the other",
        places._make_room,
        "return Found(moves=tuple(moves.items()))",
        "return Found()",
        range(38, 53),
        "not within",
    ),
    Mutant(
        "takes in what an operator has removed",
        taking_in._refusal,
        "removed_at and not forgive",
        "False",
        range(4, 24),
        "was removed by an operator, and is taken in",
    ),
    Mutant(
        "raises the feature level as soon as one server knows it",
        level.plan_level,
        "min((",
        "max((",
        range(20),
        "the cluster rises to",
    ),
    Mutant(
        "never promotes",
        promotion.promote,
        "facts.now - since[server.id] >=",
        "since[server.id] - facts.now >",
        range(10),
        "not within",
    ),
    Mutant(
        "lets a failed name speak for a live server",
        Directory._is_rival,
        "return status != ALIVE or known.identity.address != identity.address",
        "return False",
        range(3, 23),
        "not within",
    ),
    Mutant(
        "leaves the mark of a removal that was not made",
        marks.take_back_marks,
        "facts.removed_at(server.id) and",
        "False and",
        range(27, 30),
        "and marked as removed",
    ),
    Mutant(
        "tells of an election again and again",
        telling._election,
        "elected.term <= facts.told.term",
        "elected.term < facts.told.term",
        range(3),
        "elections are told in terms",
    ),
    Mutant(
        "tells no members",
        telling.tell,
        "*_membership(facts, told.members)",
        "*()",
        range(2, 5),
        "is told",
    ),
]


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
