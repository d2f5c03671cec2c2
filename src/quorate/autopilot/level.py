"""When the cluster's feature level may be raised, and what holds it back.

Rule: to level N only while every member of the configuration, voter or not, is known to know N. So
no server meets a command, a table or a snapshot that it cannot read. A member that has not been
heard lately counts as unknown: it may come back as the version that it was.

Pure: the leader says what it knows, and carries out what comes back (`quorate.levels`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from quorate.autopilot.facts import Claim
from quorate.levels import describe


class MemberLevel(msgspec.Struct, frozen=True, kw_only=True):
    """What the leader knows of one member of the Raft configuration.

    `level` is what it reported last, None if it was not heard lately. `keyed`: its public key is on
    record, so that its word can be proven at the next level.
    """

    server_id: str
    name: str
    level: int | None
    keyed: bool = True


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A member that holds the level back, and why."""

    server_id: str
    name: str
    why: str


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
    """What a leader that knows level `known` does in a cluster of level `in_force`."""
    members = tuple(members)
    assert members, "a leader is a member itself"
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
