"""Data folders of servers that do not answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Begun, Finding, Folder, Severity
from quorate.diagnosis.words import command, counted, listed, quoted


def folders(picture: Picture) -> Iterator[Finding]:
    """What is in them, and whether enough of them are there."""
    found = picture.world.folders
    readable = [folder for folder in found if not folder.error]
    for folder in found:
        yield from _one(folder)
    yield from _copies(readable)
    yield from _sides(readable)
    if readable and not picture.servers:
        yield from _majority(picture, readable)


def _one(folder: Folder) -> Iterator[Finding]:
    if folder.error:
        yield Finding(
            cause="folder-unreadable",
            weight=94,
            severity=Severity.CAUSE,
            text=f"{folder.path} cannot be read",
            shown_by=(folder.error,),
            next=(folder.cure or "give the data_dir of a server",),
        )
    if folder.damage:
        yield Finding(
            cause="damaged",
            weight=95,
            severity=Severity.CAUSE,
            text=f"the data in {folder.path} is damaged: its server does not start on it, or does "
            "not lead",
            shown_by=folder.damage,
            next=(
                (
                    "leave it out, if a majority of the others is sound; if not: "
                    f"{command(f'quorate operator raft salvage -dry-run {quoted(folder.path)}')}"
                ),
            ),
        )
    if folder.rolled_back:
        yield Finding(
            cause="rolled-back",
            weight=92,
            severity=Severity.CAUSE,
            text=f"{folder.path} is an old copy: its server has lost what it had acknowledged",
            shown_by=(folder.rolled_back,),
            next=("start its server: it moves that data aside, and joins as a new server",),
        )
    if folder.waiting.begun is Begun.WRONG_PEERS:
        written = command(
            f"quorate operator recover peers-json -out={quoted(folder.waiting.peers)} DIR..."
        )
        cure = f"{folder.waiting.cure}; " if "peers-json" not in folder.waiting.cure else ""
        yield Finding(
            cause="peers-json-wrong",
            weight=84,
            severity=Severity.CAUSE,
            text=f"{folder.path}: its server does not start, because its peers.json is wrong",
            shown_by=(folder.waiting.text,),
            next=(
                f"{cure}a right one, from the data folders of all survivors: {written}",
                f"or start without a recovery: {command(f'rm {quoted(folder.waiting.peers)}')}",
            ),
        )
    elif folder.waiting.begun is not Begun.NONE:
        yield Finding(
            cause="recovery-unfinished",
            weight=83,
            severity=Severity.WARNING,
            text=f"{folder.path}: its next start begins with a recovery",
            shown_by=(folder.waiting.text, *_in_use(folder)),
            next=tuple(_go_on(folder)),
        )
    if folder.full:
        yield Finding(
            cause="disk-full",
            weight=85,
            severity=Severity.CAUSE,
            text=f"the disk of {folder.path} is full",
            next=("free room on it before its server is started",),
        )


def _in_use(folder: Folder) -> Iterator[str]:
    if folder.waiting.begun is Begun.PEERS and folder.user is not None:
        yield f"process {folder.user} has the folder open: it has not read that file"


def _go_on(folder: Folder) -> Iterator[str]:
    """How a recovery that lies in a folder is carried out, or is not."""
    path, waiting = quoted(folder.path), folder.waiting
    if waiting.begun is Begun.PEERS:
        verb = "start its server" if folder.user is None else "restart its server"
        yield f"{verb}: it carries the file out, once, and removes it"
        yield f"or start without a recovery: {command(f'rm {quoted(waiting.peers)}')}"
    elif waiting.begun is Begun.PREPARED:
        begin = "start its server, and see" if folder.user is None else "see"
        yield f"{begin} for which plan: {command(f'quorate operator recover live status {path}')}"
        yield f"or give it up: {command(f'quorate operator recover live abort {path}')}"
    else:
        yield "start its server: what was cut off is finished first"


def _copies(readable: list[Folder]) -> Iterator[Finding]:
    by_id: dict[str, list[Folder]] = defaultdict(list)
    for folder in readable:
        if folder.id:
            by_id[folder.id].append(folder)
    for server_id, same in sorted(by_id.items()):
        if len(same) > 1:
            yield Finding(
                cause="id-twice",
                weight=88,
                severity=Severity.CAUSE,
                text=f"{counted(len(same), 'folder')} are of the server {server_id}: at most one "
                "of them may be started",
                shown_by=tuple(
                    f"{each.path}: start {each.start}, last entry {each.reach[1]} of term "
                    f"{each.reach[0]}"
                    for each in sorted(same, key=lambda f: (f.start, f.reach), reverse=True)
                ),
                next=(_which(same),),
            )


def _which(same: list[Folder]) -> str:
    """Which of several folders of one server is to be kept."""
    sound = [each for each in same if not each.rolled_back]
    used = [each for each in sound if each.user is not None]
    if not sound:
        return "the cluster has refused each of them: started, each joins as a new server"
    if len(used) == 1:
        return (
            f"keep {used[0].path}, on which a server runs; remove the others, or start them: those "
            "that are refused move their data aside and join as new servers"
        )
    newest = max((each.start, each.reach) for each in sound)
    best = [each.path for each in sound if (each.start, each.reach) == newest]
    if len(best) > 1:
        return "keep the one in the place of the server, and remove the copy"
    return f"keep {best[0]}, which was started and written last, and start no other one"


def _sides(readable: list[Folder]) -> Iterator[Finding]:
    by_cluster: dict[str, list[Folder]] = defaultdict(list)
    for folder in readable:
        if folder.cluster_id:
            by_cluster[folder.cluster_id].append(folder)
    if len(by_cluster) > 1:
        yield Finding(
            cause="other-cluster",
            weight=90,
            severity=Severity.CAUSE,
            text=f"the folders are of {len(by_cluster)} clusters",
            shown_by=tuple(
                f"of cluster {cluster}: {listed(each.path for each in same)}"
                for cluster, same in sorted(by_cluster.items())
            ),
            next=("look at those of one cluster at a time",),
        )
    for cluster, same in sorted(by_cluster.items()):
        epochs = {each.epoch for each in same}
        if len(epochs) > 1:
            yield Finding(
                cause="epoch-differs",
                weight=91,
                severity=Severity.CAUSE,
                text=f"the folders of cluster {cluster} are of {len(epochs)} epochs: it was "
                "recovered by force without some of them",
                shown_by=tuple(f"{each.path}: epoch {each.epoch}" for each in same),
                next=(
                    (
                        "go on with those of the latest epoch; give the other servers empty data "
                        "folders (docs/outage.md)"
                    ),
                ),
            )


def _majority(picture: Picture, readable: list[Folder]) -> Iterator[Finding]:
    able = [f for f in readable if not f.damage and not f.rolled_back]
    if not picture.voters:
        yield Finding(
            cause="no-configuration",
            weight=58,
            severity=Severity.CAUSE,
            text="no folder holds a Raft configuration: these servers belong to no cluster as yet",
            next=("start them, and run this again with their addresses",),
        )
        return
    here = [v for v in picture.voters if any(f.id in {v.id, v.address} for f in able)]
    running = [f for f in able if f.user is not None]
    lines = tuple(
        f"{folder.path}: server {folder.id or '(unknown)'}, last entry {folder.reach[1]} of term "
        f"{folder.reach[0]}, {_runs(folder)}"
        for folder in sorted(readable, key=lambda f: f.reach, reverse=True)
    )
    if len(here) >= picture.quorum:
        yield Finding(
            cause="servers-stopped",
            weight=60,
            severity=Severity.CAUSE,
            text=f"the folders of {len(here)} of {counted(len(picture.voters), 'voter')} are "
            f"here and sound, which is a majority; {_running(running)}",
            shown_by=lines,
            next=("start their servers with these folders: they elect a leader by themselves",),
        )
        return
    paths = " ".join(quoted(folder.path) for folder in able)
    lost = [voter for voter in picture.voters if voter not in here]
    is_nomad = any(folder.make != "Quorate" for folder in able)
    verb = "peers-json" if is_nomad else "plan -out=plan.json"
    yield Finding(
        cause="quorum-unreachable",
        weight=60,
        severity=Severity.CAUSE,
        text=f"the folders of {len(here)} of {counted(len(picture.voters), 'voter')} are here and "
        f"sound, and {picture.quorum} are needed",
        shown_by=(*lines, *(f"not here: {voter.id} at {voter.address}" for voter in lost)),
        next=(
            "bring the others back with their data, if they can be",
            f"if they are lost for good: {command(f'quorate operator recover {verb} {paths}')}",
        ),
    )


def _running(folders: list[Folder]) -> str:
    if not folders:
        return "none of their servers runs"
    return f"a server runs on {listed(folder.path for folder in folders)}"


def _runs(folder: Folder) -> str:
    return "stopped" if folder.user is None else f"open in process {folder.user}"
