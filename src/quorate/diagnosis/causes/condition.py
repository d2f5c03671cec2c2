"""The condition of servers that answer: damage, commands that they cannot read, disk, clock."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import lasting, listed

STALLED_S = 2.0
"""A write that takes longer keeps a leader from leading."""

SLOW_S = 1.0
CLOCKS_S = 5.0
"""By how much clocks may differ before it is said."""

_MIB = 1 << 20


def damage(picture: Picture) -> Iterator[Finding]:
    """Servers whose log or replicated state is known to be wrong."""
    for server in picture.servers:
        kind, problem = server.told.problem_kind, server.told.problem
        if kind == "damaged" or server.state == "damaged":
            yield Finding(
                cause="damaged",
                weight=95,
                severity=Severity.CAUSE,
                text=f"the data of {server.node} is damaged: it votes, and neither leads nor "
                "answers",
                shown_by=(problem,) if problem else ("its state differs from the others'",),
                next=(
                    (
                        "once a majority leads: stop it, move its data folder away, and start it; "
                        "the leader fills it"
                    ),
                ),
            )
        elif kind == "disagree" or server.state == "disagree":
            yield Finding(
                cause="states-disagree",
                weight=40,
                severity=Severity.WARNING,
                text=f"the states of the servers differ, and no majority says which is right "
                f"(says {server.node})",
                shown_by=(problem,) if problem else (),
                next=(f"see which servers differ: {picture.ask('operator raft views')}",),
            )


def held(picture: Picture) -> Iterator[Finding]:
    """Servers that met a command which their version does not know."""
    for server in picture.servers:
        problem = server.told.problem if server.told.problem_kind == "held" else server.held
        if problem:
            yield Finding(
                cause="held",
                weight=93,
                severity=Severity.CAUSE,
                text=f"{server.node} has stopped applying the log: it votes, and does not lead",
                shown_by=(problem,),
                next=(
                    f"upgrade it; the version is named by {picture.ask('operator upgrade check')}",
                ),
            )


def other_problems(picture: Picture) -> Iterator[Finding]:
    """What a server says of its health, and no other cause has named."""
    named = {"", "removed", "damaged", "held", "twice", "namesake", "disagree"}
    named |= {"prepared", "recovery", "tls"}
    for server in picture.servers:
        facts = server.told
        outside = facts.problem_kind == "outside" and not any(
            member.id == server.id for member in picture.members
        )
        if facts.problem_kind not in named and not outside:
            yield _unhealthy(picture, server, facts.problem)
        elif server.facts is None and server.health:
            yield _unhealthy(picture, server, server.health)


def _unhealthy(picture: Picture, server: Server, text: str) -> Finding:
    return Finding(
        cause="unhealthy",
        weight=28,
        severity=Severity.WARNING if picture.leader_address else Severity.CAUSE,
        text=f"{server.node} says that it is not healthy",
        shown_by=(text,),
        next=(f"see all that it says: {picture.health(server)}",),
    )


def disks(picture: Picture) -> Iterator[Finding]:
    """Disks that hang, are full, or slow."""
    for server in picture.servers:
        disk = server.told.disk
        if disk.waits_s > STALLED_S and not disk.full:  # a full one waits for room
            yield Finding(
                cause="disk-stalled",
                weight=86,
                severity=Severity.CAUSE,
                text=f"the disk of {server.node} hangs: a write has taken {disk.waits_s:.1f} s so "
                "far",
                shown_by=(f"the slowest write before it took {disk.slowest_s:.2f} s",),
                next=(
                    (
                        "look at the disk of its data_dir (dmesg, iostat); another server leads "
                        "meanwhile, if a majority is there"
                    ),
                ),
            )
        elif disk.slowest_s > SLOW_S:
            yield Finding(
                cause="disk-slow",
                weight=24,
                severity=Severity.WARNING,
                text=f"the disk of {server.node} is slow: a write took {disk.slowest_s:.1f} s",
                next=("give data_dir a disk of its own",),
            )
        if disk.full:
            yield Finding(
                cause="disk-full",
                weight=85,
                severity=Severity.CAUSE,
                text=f"the disk of {server.node} is full: it votes and answers reads, and takes no "
                "writes",
                shown_by=(
                    (
                        f"{disk.free_bytes / _MIB:.1f} MiB free, "
                        f"{disk.needed_bytes / _MIB:.1f} MiB needed"
                    ),
                ),
                next=(
                    "free room on the disk of its data_dir: it goes on by itself",
                    f"if nothing can be removed: {picture.ask('operator raft compact', server)}",
                ),
            )
        elif disk.warning:
            yield Finding(
                cause="little-room",
                weight=25,
                severity=Severity.WARNING,
                text=f"{server.node} may soon take no writes",
                shown_by=(disk.warning,),
                next=(
                    "free room on the disk of its data_dir, or set raft_log_bytes_max by its size",
                ),
            )


def clocks(picture: Picture) -> Iterator[Finding]:
    """Clocks that differ by more than can be the network's."""
    known = [(s.clock_off_s, s) for s in picture.servers if s.clock_off_s is not None]
    if len(known) < 2:
        return
    low, high = min(known, key=lambda each: each[0]), max(known, key=lambda each: each[0])
    apart = high[0] - low[0]
    if apart <= CLOCKS_S + high[1].clock_error_s + low[1].clock_error_s:
        return
    yield Finding(
        cause="clocks-apart",
        weight=26,
        severity=Severity.WARNING,
        text=f"the clocks differ by {lasting(apart)}: {high[1].node} is ahead of {low[1].node}",
        shown_by=tuple(
            f"{server.node}: {off:+.1f} s against the clock here" for off, server in known
        ),
        next=("let all servers take their time from one source (NTP)",),
    )


def versions(picture: Picture) -> Iterator[Finding]:
    """Versions, and feature levels, that are not the same."""
    told = [server for server in picture.main if server.facts is not None]
    behind = [s for s in told if s.told.level < max(each.told.cluster_level for each in told)]
    if behind:
        level = max(each.told.cluster_level for each in told)
        yield Finding(
            cause="level-too-low",
            weight=70,
            severity=Severity.CAUSE,
            text=f"{listed(s.node for s in behind)} cannot take part: the cluster is of feature "
            f"level {level}",
            shown_by=tuple(f"{s.node}: {s.version}, level {s.told.level}" for s in behind),
            next=(f"upgrade it; the version is named by {picture.ask('operator upgrade check')}",),
        )
        return
    found = {server.version for server in picture.main if server.version}
    levels = {server.told.level for server in told}
    foreign = any(server.make != "Quorate" for server in picture.main)
    if len(levels) > 1 or (len(found) > 1 and foreign):
        yield Finding(
            cause="versions-differ",
            weight=12,
            severity=Severity.WARNING,
            text=f"the servers are of {len(found)} versions",
            shown_by=tuple(f"{s.node}: {s.version}" for s in picture.main if s.version),
            next=("finish the upgrade",)
            if foreign
            else (f"see what is to be done: {picture.ask('operator upgrade check')}",),
        )
