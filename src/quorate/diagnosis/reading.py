"""Data folders as facts. Nothing in them is changed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from quorate.diagnosis.values import Begun, Folder, Member, Waiting
from quorate.errors import QuorateError
from quorate.recovery.at_start import peers_asked
from quorate.recovery.looking.folders import DataDir, find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.summary import FolderSummary
from quorate.recovery.peers_json import PEERS_FILE
from quorate.recovery.prepared import PREPARED_FILE
from quorate.recovery.recovering import PROGRESS_FILE
from quorate.storage.free_space import DISK_RESERVE_BYTES, free_bytes, reserve_on


def folder_at(path: Path) -> Folder:
    """What is in the data folder at `path`; if it cannot be read, why."""
    try:
        found = inspect(path)
    except QuorateError as error:
        return Folder(path=str(path), error=error.text, cure=error.next_step)
    return Folder(
        path=str(path),
        make=found.kind,
        user=found.user,
        id=found.server_id,
        region=found.region,
        cluster_id=found.cluster_id,
        epoch=str(found.epoch) if found.cluster_id else "",
        start=found.start,
        rolled_back=found.rolled_back,
        reach=found.reach,
        commit_known=found.commit_known,
        configuration_index=found.members.index,
        members=_members(found),
        damage=tuple(found.damage),
        notes=tuple(found.notes),
        waiting=_waiting(path, found),
        full=_is_full(path),
    )


def _members(found: FolderSummary) -> tuple[Member, ...]:
    return tuple(
        Member(id=each.id, address=each.address, voter=each.voter) for each in found.members.servers
    )


def _waiting(path: Path, found: FolderSummary) -> Waiting:
    """What the next start of its server does first."""
    with suppress(QuorateError, OSError):
        folder = find(path)
        if (folder.root / PREPARED_FILE).exists():
            return Waiting(Begun.PREPARED, "it is prepared for a recovery of running servers")
        if (folder.root / PROGRESS_FILE).exists():
            return Waiting(Begun.CUT_OFF, "a recovery was cut off, and is finished then")
        if (folder.raft / PEERS_FILE).exists():
            return _by_peers(folder, found)
    return Waiting()


def _by_peers(folder: DataDir, found: FolderSummary) -> Waiting:
    """What a peers.json asks for, or its mistake as the start of the server would name it.

    Whether the server will listen at the address in the list is known at its start alone.
    """
    path = folder.raft / PEERS_FILE
    try:
        peers = peers_asked(folder, found)
    except QuorateError as error:
        return Waiting(Begun.WRONG_PEERS, error.text, str(path), error.next_step)
    named = ", ".join(peer.id or peer.address for peer in peers)
    return Waiting(Begun.PEERS, f"{path} is carried out then: on goes {named}", str(path))


def _is_full(path: Path) -> bool:
    with suppress(QuorateError):
        return free_bytes(path) < reserve_on(path, DISK_RESERVE_BYTES)
    return False
