"""Data folders as facts. Nothing in them is changed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from quorate.diagnosis.values import Folder, Member
from quorate.errors import QuorateError
from quorate.recovery.looking.folders import find
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
        waiting=_waiting(path),
        full=_is_full(path),
    )


def _members(found: FolderSummary) -> tuple[Member, ...]:
    return tuple(
        Member(id=each.id, address=each.address, voter=each.voter) for each in found.members.servers
    )


def _waiting(path: Path) -> str:
    """What the next start of its server does first; empty: nothing."""
    with suppress(QuorateError, OSError):
        folder = find(path)
        if (folder.root / PREPARED_FILE).exists():
            return "it is prepared for a recovery: quorate operator recover live status"
        if (folder.root / PROGRESS_FILE).exists():
            return "a recovery was cut off, and is finished then"
        if (folder.raft / PEERS_FILE).exists():
            return f"{folder.raft / PEERS_FILE} is carried out then"
    return ""


def _is_full(path: Path) -> bool:
    with suppress(QuorateError):
        return free_bytes(path) < reserve_on(path, DISK_RESERVE_BYTES)
    return False
