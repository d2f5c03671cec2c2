"""Servers that belong to no cluster as yet, and what they wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import counted, listed


def founding(picture: Picture) -> Iterator[Finding]:
    """Expect unmet, different or not set; regions that differ."""
    new = [s for s in picture.servers if s.facts is not None and not s.facts.initialised]
    new += [s for s in picture.servers if s.facts is None and not s.members and not s.last_index]
    if not new or picture.leader_address:
        return
    by_region: dict[str, list[Server]] = defaultdict(list)
    for server in new:
        by_region[server.told.region].append(server)
    for region, servers in sorted(by_region.items()):
        settled = [s for s in picture.servers if s not in new and s.told.region == region]
        if not settled:
            yield from _of_region(picture, region, servers)
    yield from _regions(picture, by_region)


def _of_region(picture: Picture, region: str, servers: list[Server]) -> Iterator[Finding]:
    by_expect: dict[int, list[str]] = defaultdict(list)
    for server in servers:
        by_expect[server.told.expect].append(server.node)
    wanting = {expect: names for expect, names in by_expect.items() if expect}
    if not wanting:
        yield Finding(
            cause="expect-not-set",
            weight=56,
            severity=Severity.CAUSE,
            text="no server founds a cluster: bootstrap_expect is not set on any of them",
            shown_by=tuple(f"{server.node}: no bootstrap_expect" for server in servers),
            next=(
                (
                    "set server.bootstrap_expect to the number of servers on each of them, and "
                    "restart them"
                ),
            ),
        )
        return
    if len(wanting) > 1:
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
        return
    expect = next(iter(wanting))
    names = wanting[expect]
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


def _waits(servers: list[Server]) -> tuple[str, ...]:
    return tuple(f"{s.node} waits: {s.told.waiting}" for s in servers if s.told.waiting)


def _unjoined(picture: Picture) -> Iterator[str]:
    for dialed in picture.world.dialed:
        if dialed.what == "join" and dialed.failure is not None:
            yield f"{dialed.address}, which is to be joined: {dialed.failure.text}"


def _regions(picture: Picture, by_region: dict[str, list[Server]]) -> Iterator[Finding]:
    """Founders that are too few in their region, while others wait in another one."""
    short = {
        region: servers
        for region, servers in by_region.items()
        if any(server.told.expect > len(servers) for server in servers)
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
