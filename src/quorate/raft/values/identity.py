"""Which server speaks: the identity record in the data folder and in every message of ours.

A server is its cluster, the cluster's epoch, its ID, its feature level and its start. `objection`
compares the record of a sender with what this server is and knows, before anything else of the
message is looked at: a term from another cluster or epoch means nothing here.

Invariants: the counter of an epoch only rises, by a recovery; of two recoveries with the same
counter the bits differ, and servers of the two refuse each other. The start number of a data folder
rises at every start and is durable before the first vote of that start. A record whose start is
lower than one seen before, or equal with other bits, is of a folder that was rolled back or copied:
its log may lack what that server has acknowledged, so nothing of it counts (Raft 5.4 relies on it).

Pure. Ours; hashicorp/raft sends no such record, and neither did the first version (level 0).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

EPOCH_BITS = 16
"""Bytes that tell two recoveries of one counter apart."""

RUN_BITS = 8
"""Bytes drawn at every start; they tell two processes on copies of one folder apart."""


class Epoch(msgspec.Struct, frozen=True, gc=False, order=False):
    """How often the cluster was recovered by force. Zero, without bits, until it was."""

    counter: int = 0
    bits: bytes = b""

    def __str__(self) -> str:
        return f"{self.counter} ({self.bits.hex()[:8]})" if self.bits else str(self.counter)


NO_EPOCH = Epoch()


class Start(msgspec.Struct, frozen=True, gc=False):
    """One start of a server: the number of its data folder, and bits drawn for this process."""

    number: int = 0
    run: bytes = b""


class IdentityRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """See the module. `cluster_id` is empty until the server belongs to a cluster.

    Until then its epoch means nothing.
    """

    server_id: str
    cluster_id: str = ""
    epoch: Epoch = NO_EPOCH
    level: int = 0
    start: Start = Start()


def objection(ours: IdentityRecord, theirs: IdentityRecord, seen: Start | None = None) -> str:
    """Why nothing of this sender counts here, or empty. `seen` is its newest start known here."""
    if ours.cluster_id and theirs.cluster_id and ours.cluster_id != theirs.cluster_id:
        return f"{theirs.server_id} belongs to cluster {theirs.cluster_id}, not {ours.cluster_id}"
    if theirs.server_id == ours.server_id and theirs.start != ours.start:
        return f"another process uses this server's ID {ours.server_id}"
    # A server without a cluster was in no recovery, and takes the epoch with the cluster.
    if ours.cluster_id and theirs.cluster_id and theirs.epoch != ours.epoch:
        return _other_epoch(ours, theirs)
    return start_objection(theirs, seen)


def _other_epoch(ours: IdentityRecord, theirs: IdentityRecord) -> str:
    if theirs.epoch.counter == ours.epoch.counter:
        return (
            f"{theirs.server_id} is of another recovery of the cluster: epoch {theirs.epoch}, "
            f"this server is of epoch {ours.epoch}"
        )
    behind = theirs.epoch.counter < ours.epoch.counter
    which = "was left out of a recovery" if behind else "belongs to a later recovery"
    return f"{theirs.server_id} {which}: epoch {theirs.epoch}, this server is of epoch {ours.epoch}"


def left_out(ours: IdentityRecord, theirs: IdentityRecord) -> str:
    """Empty, or why a server that has met this member does nothing more in its own epoch.

    Without that a leader that was left out of a recovery would lead on, and take writes that are
    lost, as long as it has a majority of the old cluster.
    """
    if not ours.cluster_id or ours.cluster_id != theirs.cluster_id:
        return ""
    if theirs.epoch.counter <= ours.epoch.counter:
        return ""
    return (
        f"this server was left out of a recovery of the cluster: {theirs.server_id} is of epoch "
        f"{theirs.epoch}, this server of epoch {ours.epoch}; stop it, and give it an empty data "
        "folder"
    )


def start_objection(theirs: IdentityRecord, seen: Start | None) -> str:
    """Why a sender with this start does not count, or empty."""
    if seen is None or theirs.start.number > seen.number or theirs.start == seen:
        return ""
    if theirs.start.number < seen.number:
        return (
            f"{theirs.server_id} runs on an old copy of its data folder: start "
            f"{theirs.start.number}, and its start {seen.number} was seen before; the folder was "
            "put back to an older state, or an older copy of it was started"
        )
    return (
        f"{theirs.server_id} runs on one of two copies of one data folder, or on a folder that was "
        f"put back to an older state: two processes are its start {seen.number}"
    )


def newer_starts(
    seen: Mapping[str, Start], told: Mapping[str, Start], members: Collection[str]
) -> dict[str, Start]:
    """Of the starts that a member has told, by server ID: those of members that are news here.

    Of two starts with one number the first that was seen stays.
    """
    return {
        server_id: start
        for server_id, start in told.items()
        if server_id in members and (server_id not in seen or start.number > seen[server_id].number)
    }


def two_bodies(there: IdentityRecord, newcomer: IdentityRecord) -> bool:
    """True if another process of the same server than the newcomer answers `there`.

    `there` is what was found where that server was known before the newcomer came.
    """
    return there.server_id == newcomer.server_id and there.start != newcomer.start
