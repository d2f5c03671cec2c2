"""The order in which deciders are asked, and what follows from each outcome.

These are generators: each yields one action, gets its `Outcome`, looks at the facts again and goes
on. So production, where an action awaits the network, and the simulator, where it is an event of
virtual time, run the same sequence. `look` returns the facts of this moment, or None when this
server leads no more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final, TypeAlias

import msgspec

from quorate.autopilot.actions import (
    Action,
    AddNonvoter,
    FirstWrites,
    MoveAddress,
    Remove,
    Say,
    Why,
)
from quorate.autopilot.deciders.departing import let_go
from quorate.autopilot.deciders.keys import record_keys
from quorate.autopilot.deciders.level import raise_level
from quorate.autopilot.deciders.making_way import make_way
from quorate.autopilot.deciders.promotion import promote
from quorate.autopilot.deciders.reconciling import Plan, reconcile
from quorate.autopilot.deciders.taking_in import Verdict, take_in
from quorate.autopilot.deciders.telling import tell
from quorate.autopilot.facts import Claim, Facts, Heard
from quorate.autopilot.marks import take_back_marks
from quorate.autopilot.memory import PAUSE_S, Memory

Look: TypeAlias = Callable[[], Facts | None]

STEPS_MAX: Final = 64
"""Actions of one round: none is tried twice in it, but a pool can have many names."""

CALL_STEPS_MAX: Final = 12
"""Actions for one caller: ask, make room, add, record, and a few that met another change."""

NOT_LEADING: Final = "the server asked does not lead any more"


class Outcome(msgspec.Struct, frozen=True):
    """How an action ended: `why` is empty if it was done; `heard` is what an Ask has brought.

    `stale`: it was decided on facts that no longer hold, or another change is under way.
    """

    why: str = ""
    stale: bool = False
    heard: Mapping[str, Heard] = {}


Steps: TypeAlias = Generator[Action, Outcome, Memory]


def decide(facts: Facts, memory: Memory) -> Plan:
    """The actions that a leader should take now, most urgent first."""
    memory = memory.in_configuration(facts.configuration_index)
    if facts.trouble:
        way, asked = make_way(facts, memory.asked_to_lead)
        memory = msgspec.structs.replace(memory, asked_to_lead=asked)
        return Plan((way,) if way is not None else (), memory)
    if facts.rules is None or not facts.cluster_named:
        first = FirstWrites(settings=facts.rules is None, cluster=not facts.cluster_named)
        return Plan((first,), memory)
    promotions, since = promote(facts, memory.fit_since)
    memory = msgspec.structs.replace(memory, fit_since=since)
    level, waits = raise_level(facts, memory.heard)
    memory = msgspec.structs.replace(memory, level_waits=waits)
    plan = reconcile(facts, memory)
    marks = take_back_marks(facts)
    members = (*marks, *promotions, *record_keys(facts), *plan.actions)
    return Plan((*tell(facts), *members, *level), plan.memory)


def leader_round(look: Look, memory: Memory) -> Steps:
    """One round of a leader's duties; returns what is remembered."""
    tried: set[Action] = set()
    words: tuple[Say, ...] = ()
    for _ in range(STEPS_MAX):
        facts = look()
        if facts is None:
            return Memory()
        plan = decide(facts, memory)
        memory = plan.memory
        words = tuple(each for each in plan.actions if isinstance(each, Say))
        action = next((each for each in plan.actions if _is_new(each, tried)), None)
        if action is None:
            break
        tried.add(_timeless(action))
        memory = _remember(memory, facts, action, (yield action))
    for word in words:
        if word not in memory.said:
            yield word
    return msgspec.structs.replace(memory, said=frozenset(words))


def _is_new(action: Action, tried: set[Action]) -> bool:
    return not isinstance(action, Say) and _timeless(action) not in tried


def _timeless(action: Action) -> Action:
    """The action without the configuration it was decided on: once in a round is enough."""
    if hasattr(action, "prev_index"):
        return msgspec.structs.replace(action, prev_index=0)
    return action


def _remember(memory: Memory, facts: Facts, action: Action, outcome: Outcome) -> Memory:
    memory = memory.hear(outcome.heard)
    if not outcome.why or outcome.stale:
        return memory
    match action:
        case (
            Remove(id=server_id)
            | AddNonvoter(server=Claim(id=server_id))
            | MoveAddress(server=Claim(id=server_id))
        ):
            claim = next((c for c in facts.pool if c.id == server_id), None)
            if claim is not None:
                until = facts.now + PAUSE_S
                return memory.put(claim, outcome.why, until, facts.configuration_index)
    return memory


def joining(
    look: Look, joiner: Claim, *, forgive: bool = False
) -> Generator[Action, Outcome, Verdict]:
    """The leader's step for a server that asks to be taken in; the verdict has no action."""
    return (yield from _call(look, lambda f, h: take_in(f, joiner, h, forgive=forgive)))


def departing(look: Look, server_id: str) -> Generator[Action, Outcome, Verdict]:
    """The leader's step for a server that asks to be taken out."""
    return (yield from _call(look, lambda f, h: let_go(f, server_id, h, asked_for=True)))


def _call(
    look: Look, decider: Callable[[Facts, Mapping[str, Heard]], Verdict]
) -> Generator[Action, Outcome, Verdict]:
    heard: dict[str, Heard] = {}
    outcome = Outcome()
    for _ in range(CALL_STEPS_MAX):
        facts = look()
        if facts is None:
            return Verdict(why=NOT_LEADING)
        verdict = decider(facts, heard)
        if verdict.action is None:
            return verdict
        outcome = yield verdict.action
        heard.update(outcome.heard)
        if outcome.why and not outcome.stale:
            return Verdict(why=outcome.why)
        if (
            isinstance(verdict.action, Remove)
            and verdict.action.why is Why.LEFT
            and not outcome.why
        ):
            return Verdict()  # the leader that took itself out cannot look any more
    return Verdict(why=outcome.why or "the membership keeps changing; try again in a moment")
