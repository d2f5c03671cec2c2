"""When the cluster's feature level may be raised, and what holds it back.

Rule: to level N only while every member of the configuration, voter or not, is known to know N. So
no server meets a command, a table or a snapshot that it cannot read. A member that has not been
heard lately counts as unknown: it may come back as the version that it was.

Pure: the leader says what it knows, and carries out what comes back (`quorate.levels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from quorate.autopilot.actions import Action, Ask, RaiseLevel, Say
from quorate.autopilot.facts import Claim, Facts, Heard, Waiting
from quorate.autopilot.memory import lately
from quorate.levels import describe
from quorate.raft.values.configuration import Server


class MemberLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's knowledge of one member of the Raft configuration.

    `level` is what it reported last, None if it was not heard lately. `keyed`: its public key is on
    record, so that its word can be proven at the next level.
    """

    server_id: str
    name: str
    level: int | None
    keyed: bool = True


class LevelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`raise_to` is 0 while nothing is to be raised; `waiting` is for the level `goal`."""

    goal: int
    raise_to: int = 0
    waiting: tuple[Waiting, ...] = ()


def below_level(server: Claim, level: int) -> str:
    """Why this server cannot belong to a cluster of feature level `level`, or empty."""
    if server.level >= level:
        return ""
    return (
        f"{server.name} ({server.id}) runs Quorate {server.version[:40]}, which knows feature "
        f"level {server.level}, and this cluster is of {describe(level)}: upgrade it to that or "
        "later"
    )


def plan_level(in_force: int, known: int, members: Iterable[MemberLevel]) -> LevelPlan:
    """The step of a leader that knows level `known` in a cluster of level `in_force`."""
    members = tuple(members)
    assert members, "the leader is a member"
    goal = max(known, in_force)
    if goal == in_force:  # a silent member knows it: only one that was downgraded does not
        members = tuple(member for member in members if member.level is not None)
    objections = ((member, _objection(member, goal)) for member in members)
    waiting = tuple(
        Waiting(server_id=member.server_id, name=member.name, why=why)
        for member, why in objections
        if why
    )
    common = min((member.level or 0 for member in members), default=0)
    common = common if all(map(_told, members)) else 0
    reached = min(common, goal)
    return LevelPlan(goal=goal, raise_to=reached if reached > in_force else 0, waiting=waiting)


def _told(member: MemberLevel) -> bool:
    return member.level is not None and member.keyed


def _objection(member: MemberLevel, goal: int) -> str:
    if member.level is None:
        return "it has not been heard lately, so its version is not known"
    if member.level < goal:
        return f"it knows level {member.level} only: upgrade it"
    if not member.keyed:
        return "its key is not on record yet"
    return ""


def raise_level(
    facts: Facts, heard: Mapping[str, Heard]
) -> tuple[tuple[Action, ...], tuple[Waiting, ...]]:
    """The actions that raise the level to the one this leader knows; and what it waits for.

    Members are asked themselves, each at its address. Nothing is asked at the highest level.
    """
    if facts.me.level <= facts.level:
        return (), ()
    others = [server for server in facts.configuration.servers if server.id != facts.me.id]
    silent = [s.address for s in others if lately(heard, s.address, facts.now) is None]
    members = [_member(facts, heard, server) for server in facts.configuration.servers]
    plan = plan_level(facts.level, facts.me.level, members)
    if silent:
        return (Ask(tuple(silent)),), plan.waiting
    words = tuple(
        Say(one.server_id, f"feature level {plan.goal} waits for {one.name}: {one.why}")
        for one in plan.waiting
    )
    if plan.raise_to:
        step = RaiseLevel(level=plan.raise_to, prev_index=facts.configuration_index)
        return (step, *words), plan.waiting
    return words, plan.waiting


def _member(facts: Facts, heard: Mapping[str, Heard], server: Server) -> MemberLevel:
    found = lately(heard, server.address, facts.now)
    claim = facts.me if server.id == facts.me.id else found.claim if found is not None else None
    there = claim is not None and claim.id == server.id
    return MemberLevel(
        server_id=server.id,
        name=facts.name_of(server.id),
        level=claim.level if claim is not None and there else None,
        # Only from the next level on do servers prove who they are.
        keyed=bool(server.key) or not facts.me.key,
    )
