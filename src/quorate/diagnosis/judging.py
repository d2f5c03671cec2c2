"""From facts to a diagnosis: every cause looks at the picture, and the weightiest stands first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from quorate.diagnosis.causes import (
    addresses,
    certificates,
    condition,
    folders,
    founding,
    gossip,
    identity,
    quorum,
    recovery,
)
from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Diagnosis, Finding, Outcome, Severity, World
from quorate.diagnosis.words import counted

_MONITOR: Final = "'/v1/agent/monitor?log_level=debug'"

SHOWN_MAX: Final = 12
"""Lines that show one cause."""

CAUSES: Final[tuple[Callable[[Picture], Iterator[Finding]], ...]] = (
    condition.damage,
    condition.held,
    condition.disks,
    condition.clocks,
    condition.versions,
    condition.other_problems,
    identity.twice,
    identity.namesakes,
    identity.rolled_back,
    identity.epochs,
    recovery.prepared,
    identity.clusters,
    identity.outsiders,
    certificates.certificates,
    gossip.keys,
    addresses.addresses,
    founding.founding,
    quorum.quorum,
    folders.folders,
)


def diagnose(world: World) -> Diagnosis:
    """The causes that these facts show, in order of weight; those that only warn come last.

    Each region is a cluster of its own, and is looked at by itself.
    """
    regions = sorted({server.told.region for server in world.servers if server.members})
    if len(regions) < 2:
        return _of_one(world)
    parts = [_of_one(_part(world, region)) for region in regions]
    found = list(dict.fromkeys(each for part in parts for each in part.findings))
    causes = any(part.outcome is Outcome.CAUSE for part in parts)
    return Diagnosis(
        outcome=Outcome.CAUSE if causes else Outcome.HEALTHY,
        leader=", ".join(part.leader for part in parts if part.leader),
        leader_term=0,
        findings=tuple(sorted(found, key=_order)),
    )


def _part(world: World, region: str) -> World:
    """What was found of one region; servers that belong to no cluster count for each."""
    servers = tuple(s for s in world.servers if s.told.region == region or not s.members)
    ids, bases = {s.id for s in servers}, {s.http for s in servers}
    return msgspec.structs.replace(
        world,
        servers=servers,
        reports=tuple(each for each in world.reports if each.by in ids),
        pool=tuple(each for each in world.pool if each.by in ids),
        leaders=tuple(each for each in world.leaders if each[0] in bases),
    )


def _order(finding: Finding) -> tuple[bool, int, str]:
    return finding.severity is Severity.WARNING, -finding.weight, finding.text


def _of_one(world: World) -> Diagnosis:
    picture = Picture(world)
    found = [_bounded(finding) for cause in CAUSES for finding in cause(picture)]
    causes = any(finding.severity is Severity.CAUSE for finding in found)
    if picture.servers and not picture.leader_address and not causes:
        found.append(_unexplained(picture))
        causes = True
    found.sort(key=_order)
    if not picture.servers and not picture.leader_address:
        outcome = Outcome.CAUSE if world.folders else Outcome.SILENT
    else:
        outcome = Outcome.CAUSE if causes else Outcome.HEALTHY
    return Diagnosis(
        outcome=outcome,
        leader=picture.leader_name,
        leader_term=picture.leader.term if picture.leader is not None else 0,
        findings=tuple(found),
    )


def _bounded(finding: Finding) -> Finding:
    lines = tuple(dict.fromkeys(line for line in finding.shown_by if line))
    if len(lines) > SHOWN_MAX:
        more = f"and {len(lines) - SHOWN_MAX} more"
        lines = (*lines[:SHOWN_MAX], more)
    return Finding(
        cause=finding.cause,
        weight=finding.weight,
        severity=finding.severity,
        text=finding.text,
        shown_by=lines,
        next=finding.next,
    )


def _unexplained(picture: Picture) -> Finding:
    """No leader, and no cause: mostly an election that has not ended."""
    lines = [
        f"{server.node}: {server.role or 'no role told'} in term {server.term}"
        + (f", for {server.told.leaderless_s:.0f} s without a leader" if server.facts else "")
        for server in picture.main
    ]
    majority = picture.voters and len(picture.present) >= picture.quorum
    text = (
        f"{len(picture.present)} of {counted(len(picture.voters), 'voter')} answer, which is a "
        "majority, and none leads: an election may be under way"
        if majority
        else "no server leads, and what was told does not say why"
    )
    return Finding(
        cause="no-leader",
        weight=10,
        severity=Severity.CAUSE,
        text=text,
        shown_by=tuple(lines),
        next=(
            (
                "run this again in some seconds; if the terms rise and none leads, see the log "
                f"of each server: {picture.ask('operator api', rest=_MONITOR)}"
            ),
        ),
    )
