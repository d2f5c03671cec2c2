"""Servers that belong to no cluster as yet, and what they wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import counted, listed


class _New(NamedTuple):
    """A server of no cluster: one that has answered, or that another one lists in the pool."""

    node: str
    region: str
    expect: int
    waiting: str = ""


def founding(picture: Picture) -> Iterator[Finding]:
    """Expect unmet, different or not set; regions that differ."""
    if picture.leader_address:
        return
    settled = {s.told.region for s in picture.servers if _is_settled(s)}
    by_region: dict[str, list[_New]] = defaultdict(list)
    for each in _new(picture):
        by_region[each.region].append(each)
    for region, servers in sorted(by_region.items()):
        if region not in settled:
            yield from _of_region(picture, region, servers)
    yield from _regions(picture, by_region)


def _is_settled(server: Server) -> bool:
    return bool(server.told.initialised or server.members or server.last_index)


def _new(picture: Picture) -> list[_New]:
    found = {
        s.id: _New(s.node, s.told.region, s.told.expect, s.told.waiting)
        for s in picture.servers
        if s.make and not _is_settled(s)
    }
    answered = {server.id for server in picture.servers}
    for entry in picture.world.pool if found else ():
        if entry.status == "alive" and entry.id not in answered and not entry.cluster_id:
            found.setdefault(entry.id, _New(entry.name, entry.region, entry.expect))
    return sorted(found.values())


def _of_region(picture: Picture, region: str, servers: list[_New]) -> Iterator[Finding]:
    by_expect: dict[int, list[str]] = defaultdict(list)
    for server in servers:
        by_expect[server.expect].append(server.node)
    wanting = {expect: names for expect, names in by_expect.items() if expect}
    if not wanting:
        yield Finding(
            cause="expect-not-set",
            weight=56,
            severity=Severity.CAUSE,
            text="no server founds a cluster: bootstrap_expect is not set on any of them",
            shown_by=tuple(f"{server.node}: no bootstrap_expect" for server in servers),
            next=(
                "set server.bootstrap_expect to the number of servers on each of them, and restart",
            ),
        )
    elif len(wanting) > 1:
        most = max(wanting, key=lambda expect: (len(wanting[expect]), expect))
        odd = [name for expect, names in wanting.items() if expect != most for name in names]
        yield Finding(
            cause="expect-differs",
            weight=77,
            severity=Severity.CAUSE,
            text=f"bootstrap_expect differs: {_shown(wanting)}",
            shown_by=_waits(servers),
            next=(f"set server.bootstrap_expect = {most} on {listed(odd)} too, and restart",),
        )
    else:
        yield from _unmet(picture, region, servers, *next(iter(wanting.items())))


def _unmet(
    picture: Picture, region: str, servers: list[_New], expect: int, names: list[str]
) -> Iterator[Finding]:
    if len(names) < expect:
        yield Finding(
            cause="expect-unmet",
            weight=55,
            severity=Severity.CAUSE,
            text=f"{counted(expect, 'server')} are expected to found the cluster of region "
            f"{region!r}, and {len(names)} can be reached: {listed(names)}",
            shown_by=(*_waits(servers), *_unjoined(picture)),
            next=(
                (
                    f"start {counted(expect - len(names), 'more server')} with the same region, "
                    f"gossip key and bootstrap_expect = {expect}; let retry_join name the others"
                ),
            ),
        )


def _shown(wanting: dict[int, list[str]]) -> str:
    parts = [f"{expect} on {listed(names)}" for expect, names in sorted(wanting.items())]
    return ", ".join(parts)


def _waits(servers: list[_New]) -> tuple[str, ...]:
    return tuple(f"{each.node} waits: {each.waiting}" for each in servers if each.waiting)


def _unjoined(picture: Picture) -> Iterator[str]:
    for dialed in picture.world.dialed:
        if dialed.what == "join" and dialed.failure is not None:
            yield f"{dialed.address}, which is to be joined: {dialed.failure.text}"


def _regions(picture: Picture, by_region: dict[str, list[_New]]) -> Iterator[Finding]:
    """Founders that are too few in their region, while others wait in another one."""
    short = {
        region: servers
        for region, servers in by_region.items()
        if any(server.expect > len(servers) for server in servers)
    }
    others = {s.told.region for s in picture.servers} | {e.region for e in picture.world.pool}
    others.discard("")
    if not short or len(others) < 2:
        return
    shown = {server.node: server.told.region for server in picture.servers}
    shown.update({e.name: e.region for e in picture.world.pool if e.region})
    yield Finding(
        cause="region-differs",
        weight=78,
        severity=Severity.CAUSE,
        text=f"the servers name {len(others)} regions, and each region is a cluster of its own: "
        f"{listed(sorted(others))}",
        shown_by=tuple(f"{name} is of region {region!r}" for name, region in sorted(shown.items())),
        next=("set the same region on all servers of one cluster, and restart those changed",),
    )
