"""Servers that are not what the others take them for: copies, strangers, and those let go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from quorate.diagnosis.picture import FRESH_S, Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import listed

_OLD_COPY = ("runs on an old copy of its data folder",)
_LEFT_OUT = ("left out of a recovery", "later recovery", "another recovery of the cluster")
_TWO_PROCESSES = (
    "another process uses this server's ID",
    "one of two copies of one data folder",
    "on two copies of one data folder",
)
_PUT_BACK = ": its folder was put back to an older state"
"""Both processes were at one address, one after the other: it is no copy."""


def twice(picture: Picture) -> Iterator[Finding]:
    """One ID, used by two servers."""
    places: dict[str, dict[str, str]] = defaultdict(dict)
    for server in picture.servers:
        places[server.id].setdefault(server.address, server.node)
    for entry in picture.world.pool:
        if entry.status == "alive" and entry.id:
            places[entry.id].setdefault(entry.address, entry.name)
    told = {s.id: s.told.problem for s in picture.servers if s.told.problem_kind == "twice"}
    told |= {s.id: "" for s in picture.servers if s.state == "twice" and s.id not in told}
    for server_id, text in _said(picture, _TWO_PROCESSES):
        if _PUT_BACK not in text:
            told.setdefault(server_id, text)
    for server_id in sorted(told.keys() | {i for i, found in places.items() if len(found) > 1}):
        found = sorted(places[server_id].items())
        lines = [f"{node or 'a server'} at {address} uses it" for address, node in found]
        lines += [told[server_id]] if told.get(server_id) else []
        yield Finding(
            cause="id-twice",
            weight=88,
            severity=Severity.CAUSE,
            text=f"two servers run with the ID {server_id}, as after copying a data folder",
            shown_by=tuple(lines),
            next=tuple(_part(picture, server_id)),
        )


def _part(picture: Picture, server_id: str) -> Iterator[str]:
    """How two servers of one ID are parted.

    The others take one of them for the member, and refuse the other one, which ends: started again
    it moves its data aside and takes a new ID. So which of the two is the copy decides.
    """
    place = next((m.address for m in picture.members if m.id == server_id), "")
    member = f"the one at {place}" if place else "the one that the cluster takes for the member"
    yield (
        f"if the original is {member}: stop the copy and remove its data_dir; that is all, and the "
        "ID stays (the copy, started again, would move its data aside and join as a new server)"
    )
    yield (
        f"if the copy is {member}: stop it and remove its data_dir; start the original again: it "
        "moves its data aside, takes a new ID and is filled by the leader; then take the old ID "
        f"out: {picture.ask(f'operator raft remove-peer -peer-id={server_id}')}"
    )


def namesakes(picture: Picture) -> Iterator[Finding]:
    """One name, used by two servers of the pool."""
    for server in picture.servers:
        if server.told.problem_kind == "namesake":
            yield Finding(
                cause="name-twice",
                weight=30,
                severity=Severity.WARNING,
                text=f"two servers call themselves {server.node}",
                shown_by=(server.told.problem,),
                next=("give one of them another name, and restart it",),
            )


def rolled_back(picture: Picture) -> Iterator[Finding]:
    """Servers that were refused because of an older start of their folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for server_id, line in _said(picture, (*_OLD_COPY, *_TWO_PROCESSES)):
        if _PUT_BACK in line or any(word in line for word in _OLD_COPY):
            found[server_id].append(line)
    for server_id, lines in sorted(found.items()):
        yield Finding(
            cause="rolled-back",
            weight=92,
            severity=Severity.CAUSE,
            text=f"{picture.name(server_id)} was started on an old copy of its data folder, and is "
            "refused: it lacks what it had acknowledged",
            shown_by=tuple(lines),
            next=(
                (
                    "start it again: it moves that data aside, takes a new ID and joins as a new "
                    "server, which takes the place of the old ID by itself; only where list-peers "
                    "still names the old ID, and no server uses it: "
                    f"{picture.ask(f'operator raft remove-peer -peer-id={server_id}')}"
                ),
            ),
        )


def epochs(picture: Picture) -> Iterator[Finding]:
    """Servers on two sides of a forced recovery."""
    found: dict[str, list[str]] = defaultdict(list)
    for server in picture.servers:
        facts = server.told
        # One that is prepared follows into the later epoch, or gives up: `prepared` tells of it.
        if facts.cluster_id and facts.epoch and not server.prepared:
            found[f"{facts.cluster_id} {facts.epoch}"].append(server.node)
    same = defaultdict(list)
    for key, names in found.items():
        same[key.partition(" ")[0]].append((key.partition(" ")[2], names))
    refused = dict.fromkeys(text for _, text in _said(picture, _LEFT_OUT))
    apart = [sides for sides in same.values() if len(sides) > 1]
    if not apart and not refused:
        return
    lines = [
        f"of epoch {epoch}: {listed(names)}" for sides in apart for epoch, names in sorted(sides)
    ]
    yield Finding(
        cause="epoch-differs",
        weight=91,
        severity=Severity.CAUSE,
        text="the cluster was recovered by force, and servers of two epochs are running: they "
        "refuse each other",
        shown_by=(*lines, *refused),
        next=(
            (
                "stop the servers that were left out of the recovery, and give them empty "
                "data folders (docs/outage.md)"
            ),
        ),
    )


def clusters(picture: Picture) -> Iterator[Finding]:
    """Servers of one region with data of different clusters."""
    by_region: dict[str, dict[str, list[Server]]] = defaultdict(lambda: defaultdict(list))
    for server in picture.servers:
        if server.told.cluster_id:
            by_region[server.told.region][server.told.cluster_id].append(server)
    for region, found in sorted(by_region.items()):
        if len(found) < 2:
            continue
        yield Finding(
            cause="other-cluster",
            weight=90,
            severity=Severity.CAUSE,
            text=f"servers of region {region!r} hold data of {len(found)} clusters: they refuse "
            "each other",
            shown_by=tuple(
                f"of cluster {cluster}: {listed(s.node for s in servers)}"
                for cluster, servers in sorted(found.items(), key=lambda each: -len(each[1]))
            ),
            next=(
                (
                    "start each server with the data_dir that belongs to it; one that has none "
                    "starts with an empty data_dir"
                ),
            ),
        )


def outsiders(picture: Picture) -> Iterator[Finding]:
    """Servers that run, and are not in the Raft configuration."""
    for server in picture.servers:
        facts = server.told
        if facts.problem_kind == "removed":
            yield Finding(
                cause="removed",
                weight=75,
                severity=Severity.CAUSE,
                text=f"{server.node} was removed from the cluster",
                shown_by=(facts.problem,),
                next=(f"if it is to come back: {picture.ask('server rejoin', server)}",),
            )
    others = [s for s in picture.main if s.facts is not None and s.told.problem_kind != "removed"]
    outside = [s for s in others if picture.members and not _is_member(picture, s)]
    for server in outside:
        facts = server.told
        waits = facts.problem or facts.waiting
        yield Finding(
            cause="not-a-member",
            weight=74 if picture.leader_address else 50,
            severity=Severity.CAUSE if picture.leader_address else Severity.WARNING,
            text=f"{server.node} is not in the Raft configuration: it has no vote, and cannot "
            "stand in for another server",
            shown_by=(f"it waits: {waits}",) if waits else (),
            next=(
                "once there is a leader, it takes the server in by itself"
                if not picture.leader_address
                else f"see what it waits for: {picture.health(server)}",
            ),
        )


def _is_member(picture: Picture, server: Server) -> bool:
    return any(member.id == server.id for member in picture.members)


def _said(picture: Picture, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(ID, line) of late refusals with these words, by servers and of answers to servers.

    Of the refusals of one server by another one the newest.
    """
    for server in picture.servers:
        said: dict[str, str] = {}
        for refused in server.told.refused:
            if refused.ago_s < FRESH_S and any(word in refused.why for word in words):
                line = f"{server.node} has refused {refused.where}: {refused.why}"
                said.setdefault(_subject(refused.why), line)
        yield from said.items()
    for report in picture.world.reports:
        if any(word in report.failure.text for word in words):
            who = picture.name(report.of, report.address)
            yield report.of, f"{picture.name(report.by)} asked {who}: {report.failure.text}"


def _subject(why: str) -> str:
    """The ID that a refusal speaks of: its first word, or its last one."""
    words = why.split()
    return words[-1] if words[0] == "another" else words[0]
