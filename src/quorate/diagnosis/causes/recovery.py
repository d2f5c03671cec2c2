"""A recovery of servers that run, between its two steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import command, counted, lasting, listed, quoted
from quorate.shapes.diagnosis import RecoveryDetails

_LIVE = "quorate operator recover live"


def prepared(picture: Picture) -> Iterator[Finding]:
    """Which plan, the servers that are prepared for it and those that are not, and the next step.

    While a plan is prepared it is to be carried out or given up: nothing else helps.
    """
    plans: dict[str, list[Server]] = defaultdict(list)
    for server in picture.servers:
        if server.prepared:
            plans[server.prepared].append(server)
    for plan, servers in sorted(plans.items()):
        told = next((s.told.recovery for s in servers if s.told.recovery.plan), RecoveryDetails())
        names = [server.node for server in servers]
        waiting = [each for each in told.survivors if each not in {s.id for s in servers}]
        epoch = f", by which epoch {told.epoch} begins" if told.epoch else ""
        yield Finding(
            cause="recovery-prepared",
            weight=89,
            severity=Severity.CAUSE,
            text=f"a recovery is prepared, and neither carried out nor given up: plan {plan[:12]}"
            f"{epoch}; the servers that are prepared for it hear nothing of their old epoch",
            shown_by=(
                f"prepared: {listed(names)}",
                *(f"not prepared: {_place(picture, each)}" for each in waiting),
                *_deadline(servers, told),
            ),
            next=tuple(_steps(picture, servers, told, waiting)),
        )
    if len(plans) > 1:
        yield Finding(
            cause="plans-differ",
            weight=90,
            severity=Severity.CAUSE,
            text=f"servers are prepared for {counted(len(plans), 'different plan')}: none of them "
            "can be carried out where a survivor that it names is prepared for another",
            shown_by=tuple(
                f"plan {plan[:12]}: {listed(s.node for s in servers)}"
                for plan, servers in sorted(plans.items())
            ),
            next=("give up all plans but one, by the commands below, then prepare that one there",),
        )


def _deadline(servers: Sequence[Server], told: RecoveryDetails) -> Iterator[str]:
    clocks = [s.told.clock_ms for s in servers if s.told.recovery.until_ms and s.told.clock_ms]
    if not clocks:
        return
    left_s = (told.until_ms - max(clocks)) / 1000
    late = "its time is up: it is given up as soon as the server that decides can be asked"
    yield f"it is given up by itself in {lasting(left_s)}" if left_s > 0 else late


def _steps(
    picture: Picture, servers: Sequence[Server], told: RecoveryDetails, waiting: Sequence[str]
) -> Iterator[str]:
    """The commands, each for the machine on which it has to be run."""
    if not told.plan:  # a version that does not tell of its plan
        yield f"on each of them: {command(f'{_LIVE} status DATA_DIR')}; then prepare the others "
        "too and commit, or abort"
        return
    leads = picture.name(told.leads)
    for each in waiting:
        where, folder = picture.name(each), _folder(picture, each)
        lost = f"-lost={','.join(told.lost)} " if told.lost else ""
        prepare = command(f"{_LIVE} prepare -data-may-be-lost {lost}PLAN_FILE {folder}")
        yield f"to go on, on the machine of {where}: {prepare}"
    begin = "then" if waiting else "to go on"
    commit = command(f"{_LIVE} commit {_folder(picture, told.leads)}")
    yield f"{begin}, on the machine of {leads}, which decides: {commit}"
    others = [server for server in servers if server.id != told.leads]
    abort = command(f"{_LIVE} abort {_folder(picture, told.leads)}")
    if len(others) < len(servers):
        yield f"or give it up, first on the machine of {leads}: {abort}"
    for server in others:
        abort = command(f"{_LIVE} abort {_folder(picture, server.id)}")
        begin = "and then" if len(others) < len(servers) else "or give it up,"
        yield f"{begin} on the machine of {server.node}: {abort}"


def _folder(picture: Picture, server_id: str) -> str:
    """The data folder of a server, if it was given."""
    paths = [each.path for each in picture.world.folders if server_id and each.id == server_id]
    return quoted(paths[0]) if paths else "DATA_DIR"


def _place(picture: Picture, server_id: str) -> str:
    name = picture.name(server_id)
    answers = any(server.id == server_id for server in picture.servers)
    return name if answers else f"{name}, which does not answer"
